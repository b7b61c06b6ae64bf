//! Scanners that live, answer health checks, and fail: stuck, with errors, with streams that end without a word.

use portcullis_e2e::{FakeScanner, Pod, Stack, envoy_binary};

use crate::cells::{Cells, Way};
use crate::expectations::{Fault, Mode};
use crate::world::World;

/// Nothing ends a stream that hangs within a body, in a scanner that lives, before Envoy's `stream_idle_timeout`: 300 s as shipped, and so much
/// here.
const IDLE: &str = "6s";

pub(crate) async fn at_the_head(mode: Mode) -> Vec<String> {
    let faults = [
        (Fault::StuckAtHead, FakeScanner::HangAtHeaders),
        (Fault::ErrorAtHead, FakeScanner::ErrorAtHeaders),
        (Fault::CloseAtHead, FakeScanner::CloseAtHeaders),
    ];
    cells(mode, &faults).await
}

pub(crate) async fn in_the_body(mode: Mode) -> Vec<String> {
    let faults = [
        (Fault::StuckInBody, FakeScanner::HangInBody),
        (Fault::ErrorInBody, FakeScanner::ErrorInBody),
        (Fault::CloseInBody, FakeScanner::CloseInBody),
        (Fault::StuckAfterRelease, FakeScanner::HangAfterRelease),
        (Fault::ErrorAfterRelease, FakeScanner::ErrorAfterRelease),
        (Fault::CloseAfterRelease, FakeScanner::CloseAfterRelease),
    ];
    cells(mode, &faults).await
}

async fn cells(mode: Mode, faults: &[(Fault, FakeScanner)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let envoy = folder.path().join("envoy");
    std::fs::write(&envoy, impatient(&envoy_binary().expect("an Envoy").display().to_string())).expect("written");
    std::fs::set_permissions(&envoy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let envoy = envoy.display().to_string();
    let stack = Stack::start(&[mode.args(), &["--envoy", &envoy]].concat()).await;
    let command = stack.command("scanner");
    stack.without_supervision();
    let world = World::Up(stack);
    let World::Up(stack) = &world else { unreachable!("made above") };
    let mut cells = Cells::new(mode);
    let mut successor: Option<Pod> = None;
    for (fault, fake) in faults {
        stack.kill("scanner");
        drop(successor.take());
        let running = stack.fake_scanner(*fake).await;
        for body in fault.bodies(mode) {
            cells.during(&world, *fault, body, &Way { tunnel: None, fake: Some(&running) }).await;
        }
        drop(running);
        successor = Some(stack.start_again("scanner", &command));
        stack.scanner_is_found().await;
        cells.note(*fault, world.is_fine(None).await);
    }
    cells.wrong
}

/// A program that runs Envoy with less patience than the configuration says, which `up` has just written.
fn impatient(envoy: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$1\" = -c ]; then\n    sed -i 's/\"stream_idle_timeout\": \"300s\"/\"stream_idle_timeout\": \"{IDLE}\"/' \"$2\"\nfi\nexec \
         '{envoy}' \"$@\"\n"
    )
}
