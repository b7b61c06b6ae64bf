//! A push as git's smart HTTP sends it: one command, and a pack of one commit with one tree and one file (gitformat-pack(5), gitprotocol-http(5)).

use std::io::Write as _;

use anyhow::Result;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

const COMMIT: u8 = 1;
const TREE: u8 = 2;
const BLOB: u8 = 3;
/// What a push sends as the old tip of a ref that does not exist.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// The body of a push of this file to a branch of its own.
///
/// # Errors
/// None that happens: writing into memory.
pub(crate) fn push(file: &[u8], number: u64) -> Result<Bytes> {
    let blob = id("blob", file);
    let mut tree = b"100644 notes.txt\0".to_vec();
    tree.extend_from_slice(&blob);
    let who = "Load Test <load@example.org> 1790000000 +0000";
    let commit = format!("tree {}\nauthor {who}\ncommitter {who}\n\nAdd notes, number {number}\n", hex(&id("tree", &tree)));
    let tip = hex(&id("commit", commit.as_bytes()));
    let command = format!("{NOTHING} {tip} refs/heads/agent/notes-{number}\0 report-status agent=git/2.39.5");
    let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x03".to_vec();
    for (kind, content) in [(COMMIT, commit.as_bytes()), (TREE, &tree[..]), (BLOB, file)] {
        object(&mut pack, kind, content)?;
    }
    let checksum = Sha1::digest(&pack);
    body.extend_from_slice(&pack);
    body.extend_from_slice(&checksum);
    Ok(body.into())
}

fn id(kind: &str, content: &[u8]) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(format!("{kind} {}\0", content.len()));
    hash.update(content);
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// An entry of a pack: kind and length in a number of variable width, then the content, deflated.
fn object(pack: &mut Vec<u8>, kind: u8, content: &[u8]) -> Result<()> {
    let mut left = content.len() >> 4;
    let mut byte = kind << 4 | u8::try_from(content.len() & 15)?;
    while left > 0 {
        pack.push(byte | 0x80);
        byte = u8::try_from(left & 0x7f)?;
        left >>= 7;
    }
    pack.push(byte);
    let mut encoder = ZlibEncoder::new(&mut *pack, Compression::fast());
    encoder.write_all(content)?;
    encoder.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn git_itself_takes_the_pack_and_finds_the_commit_that_the_command_names() {
        let folder = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(folder.path()).args(args).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder.path());
            command
        };
        assert!(git(&["init", "--quiet", "--bare"]).status().unwrap().success());
        let body = push("some notes\n".repeat(900).as_bytes(), 7).unwrap();
        let command_length = usize::from_str_radix(std::str::from_utf8(&body[..4]).unwrap(), 16).unwrap();
        let tip = std::str::from_utf8(&body[45..85]).unwrap().to_owned();
        assert_eq!(&body[command_length..command_length + 4], b"0000");
        let mut child = git(&["index-pack", "--stdin", "--strict"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&body[command_length + 4..]).unwrap();
        assert!(child.wait().unwrap().success());
        let shown = git(&["show", &format!("{tip}:notes.txt")]).output().unwrap();
        assert_eq!(shown.stdout, "some notes\n".repeat(900).as_bytes());
    }
}
