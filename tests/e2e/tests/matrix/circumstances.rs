//! The circumstances: a wall clock that jumps under all parts at once, and a disk that is full.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_e2e::Stack;

use crate::bodies::Body;
use crate::cells::{Cells, Way};
use crate::expectations::{Fault, Mode};
use crate::world::{HOST, World};

const DAY: i64 = 86_400;
/// Counts by the wall clock, and refuses nothing that is sent here.
const POLICY: &str = "version: 1\nextends: default\nrules: [{name: many, budget: {window: 1h, requests: 100000}}]\n";
/// The folder of the logs on a small file system of its own, in a mount namespace that ends with the gateway.
const SMALL_DISK: &str = r#"mkdir -p -m 700 "$STATE/log" && mount -t tmpfs -o size=1m,mode=700 none "$STATE/log" && exec "$@""#;

pub(crate) async fn cells(mode: Mode) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::new(folder.path());
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).expect("written");
    let args = [mode.args(), &["--policy", policy.to_str().expect("a path")]].concat();
    let environment =
        [("LD_PRELOAD", clock.library.to_str().expect("a path")), ("PORTCULLIS_TEST_CLOCK", clock.file.to_str().expect("a path"))];
    let rights: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let under = [&["unshare", "--mount", "--propagation", "private"], rights, &["sh", "-c", SMALL_DISK, "sh"]].concat();
    let world = World::Up(Stack::start_under(&args, &environment, &under).await);
    let mut cells = Cells::new(mode);
    cells.note(Fault::ClockAhead, world.is_fine(Some(HOST)).await);
    for (fault, jump) in [(Fault::ClockAhead, DAY), (Fault::ClockBack, -DAY)] {
        jumps(&mut cells, &world, &clock, fault, jump).await;
    }
    disk_is_full(&mut cells, &world).await;
    cells.wrong
}

/// The clock of the gateway's processes.
struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    fn new(folder: &Path) -> Clock {
        let (library, file) = (folder.join("clock.so"), folder.join("clock"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix/clock.c");
        let output = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
        let output = output.expect("a C compiler, which Rust links with");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&file, 0_i64.to_ne_bytes()).expect("written");
        Clock { library, file }
    }

    /// The clock is so many seconds ahead from now on.
    fn jump(&self, seconds: i64) {
        // In place: the file is mapped.
        let file = File::options().write(true).open(&self.file);
        file.and_then(|mut file| file.write_all(&seconds.to_ne_bytes())).expect("written");
    }
}

async fn jumps(cells: &mut Cells, world: &World, clock: &Clock, fault: Fault, jump: i64) {
    clock.jump(jump);
    // Clients whose clock is right ask for leaves meanwhile; what they get then must not be what they get afterwards.
    drop(world.connect(Some(HOST)).await);
    for body in fault.bodies(cells.mode) {
        cells.during(world, fault, body, &Way::CLEAR).await;
    }
    let date = Command::new("date").args(["-u", "-d", &format!("now {jump} seconds"), "+%F"]).output().expect("date");
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    let log = std::fs::read_to_string(world.state("log/audit.jsonl").expect("a state folder")).expect("readable");
    let believes = log.lines().last().is_some_and(|line| line.contains(&format!("\"time\":\"{date}")));
    cells.note(fault, if believes { Ok(()) } else { Err(format!("the scanner does not believe it is {date}")) });
    clock.jump(0);
    for tunnel in [None, Some(HOST)] {
        cells.note(fault, world.is_fine(tunnel).await);
    }
}

async fn disk_is_full(cells: &mut Cells, world: &World) {
    let fault = Fault::AuditDiskFull;
    let filler = world.state("log/filler").expect("a state folder");
    let mut file = File::create(&filler).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    // The last page of the log takes some records more.
    let lost = async || {
        let connection = world.connect(None).await;
        let (method, pieces) = Body::None.request(&format!("http://{HOST}/"), HOST, None);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        if let Ok(mut connection) = connection {
            drop(connection.exchange(method, &pieces, |_| async {}).await);
        }
        world.metric("portcullis_audit_dropped_total").await > 0
    };
    world.wait_until("the disk is full", lost).await;
    for body in fault.bodies(cells.mode) {
        cells.during(world, fault, body, &Way::CLEAR).await;
    }
    drop(file);
    std::fs::remove_file(&filler).expect("removed");
    cells.note(fault, world.is_fine(None).await);
    // Every request that was judged has a record, or is counted as one whose record was lost, and none both. (Of a lost one a part may be there, in a
    // line of its own.)
    let whole = async || {
        let (judged, lost) = (world.metric("portcullis_requests_total{").await, world.metric("portcullis_audit_dropped_total").await);
        world.audit_lines() + lost == judged
    };
    let begun = std::time::Instant::now();
    while !whole().await && begun.elapsed() < portcullis_e2e::PATIENCE / 6 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (judged, lost) = (world.metric("portcullis_requests_total{").await, world.metric("portcullis_audit_dropped_total").await);
    let lines = world.audit_lines();
    if lines + lost != judged {
        cells.note(fault, Err(format!("{judged} judged, {lines} recorded, {lost} counted as lost")));
    }
}
