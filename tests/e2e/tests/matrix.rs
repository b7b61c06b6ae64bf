//! The failure matrix: every fault × fail-closed and fail-open × four bodies, through a real Envoy and the real binary.
//!
//! What must hold in every cell stands in [`cells`]: in fail-closed nothing arrives that no scanner released; in fail-open what arrives
//! unscanned is marked and counted, exactly; every client gets an answer or a cut; and when the fault is gone, the next request is judged as
//! ever. What each fault answers beyond that is the table in [`expectations`].
//!
//! By default a part of the bodies is tried with each fault. `PORTCULLIS_MATRIX=full` tries all of them; `PORTCULLIS_MATRIX_RECORD=FILE`
//! appends what was observed, one JSON object a line: `tests/failures/run` makes docs/failure-modes.md of it.

#[path = "matrix/bodies.rs"]
mod bodies;
#[path = "matrix/cells.rs"]
mod cells;
#[path = "matrix/certificates.rs"]
mod certificates;
#[path = "matrix/circumstances.rs"]
mod circumstances;
#[path = "matrix/expectations.rs"]
mod expectations;
#[path = "matrix/fakes.rs"]
mod fakes;
#[path = "matrix/memory.rs"]
mod memory;
#[path = "matrix/observation.rs"]
mod observation;
#[path = "matrix/pods.rs"]
mod pods;
#[path = "matrix/scanner.rs"]
mod scanner;
#[path = "matrix/world.rs"]
mod world;

use expectations::Mode;

/// Runs a part of the matrix in both modes at once: they mostly wait. Each has a gateway and a runtime of its own.
fn in_both_modes<F: Future<Output = Vec<String>>>(part: fn(Mode) -> F) {
    let run = |mode| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(part(mode))
    };
    let wrong = std::thread::scope(|scope| {
        let running = Mode::ALL.map(|mode| scope.spawn(move || run(mode)));
        running.map(|one| one.join().unwrap_or_else(|_| vec!["this mode panicked, see above".to_owned()])).concat()
    });
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_scanner_that_is_dead_frozen_slow_or_out_of_memory() {
    in_both_modes(scanner::cells);
}

#[test]
fn a_scanner_that_lives_and_fails_at_the_head() {
    in_both_modes(fakes::at_the_head);
}

#[test]
fn a_scanner_that_lives_and_fails_in_the_body() {
    in_both_modes(fakes::in_the_body);
}

#[test]
fn certificates_authorities_policies_and_collectors_that_fail() {
    in_both_modes(certificates::cells);
}

#[test]
fn clocks_that_jump_and_disks_that_are_full() {
    in_both_modes(circumstances::cells);
}

#[test]
fn gateways_and_shared_counts_that_end() {
    in_both_modes(pods::cells);
}
