//! The real scanner: dead, killed, frozen, slow, out of memory. `up` is frozen meanwhile, so that the test is who starts it again.

use std::cell::RefCell;
use std::ffi::OsString;
use std::time::Duration;

use portcullis_e2e::{Pod, Stack};

use crate::bodies::Body;
use crate::cells::{Cells, Way};
use crate::expectations::{Fault, Mode};
use crate::memory::Limit;
use crate::world::World;

/// How long a scanner that is slow says nothing: shorter than what ends its connections (3.5 s).
const SLOW: Duration = Duration::from_millis(1500);

pub(crate) async fn cells(mode: Mode) -> Vec<String> {
    let stack = Stack::start(mode.args()).await;
    let command = stack.command("scanner");
    stack.without_supervision();
    let bench = Bench { world: World::Up(stack), command, successor: RefCell::new(None) };
    let mut cells = Cells::new(mode);
    bench.down(&mut cells).await;
    bench.killed(&mut cells).await;
    bench.terminated(&mut cells).await;
    bench.frozen(&mut cells).await;
    bench.slow(&mut cells).await;
    bench.out_of_memory(&mut cells).await;
    cells.wrong
}

struct Bench {
    world: World,
    command: Vec<OsString>,
    successor: RefCell<Option<Pod>>,
}

impl Bench {
    fn stack(&self) -> &Stack {
        match &self.world {
            World::Up(stack) => stack,
            World::Pods(_) => unreachable!("this part runs on `up`"),
        }
    }

    async fn start_again(&self) {
        // The one before is dead: its remains go first.
        self.successor.replace(None);
        self.successor.replace(Some(self.stack().start_again("scanner", &self.command)));
        self.stack().scanner_is_found().await;
    }

    async fn thaw(&self) {
        self.stack().thaw("scanner");
        self.stack().scanner_is_found().await;
    }

    async fn is_fine(&self, cells: &mut Cells, fault: Fault) {
        cells.note(fault, self.world.is_fine(None).await);
    }

    async fn down(&self, cells: &mut Cells) {
        self.stack().kill("scanner");
        for body in Fault::ScannerDown.bodies(cells.mode) {
            cells.during(&self.world, Fault::ScannerDown, body, &Way::CLEAR).await;
        }
        self.start_again().await;
        self.is_fine(cells, Fault::ScannerDown).await;
    }

    async fn killed(&self, cells: &mut Cells) {
        let fault = Fault::ScannerKilled;
        for body in fault.bodies(cells.mode) {
            if body == Body::None {
                // Frozen first, so that the request still waits when it is killed.
                self.stack().freeze("scanner");
                let kill = async {
                    let waits = async || self.world.stat("cluster.scanner.upstream_rq_active").await > 0;
                    self.world.wait_until("the request waits for the scanner", waits).await;
                    self.stack().kill("scanner");
                };
                cells.with(&self.world, fault, body, &Way::CLEAR, kill).await;
            } else {
                cells.within(&self.world, fault, body, &Way::CLEAR, || self.stack().kill("scanner")).await;
            }
            self.start_again().await;
            self.is_fine(cells, fault).await;
        }
    }

    /// Told to end it finishes what is under way: the secret at the end of the body is found still.
    async fn terminated(&self, cells: &mut Cells) {
        for body in Fault::ScannerTerminated.bodies(cells.mode) {
            cells.within(&self.world, Fault::ScannerTerminated, body, &Way::CLEAR, || self.stack().terminate("scanner")).await;
            self.stack().wait_for_end("scanner");
            self.start_again().await;
            self.is_fine(cells, Fault::ScannerTerminated).await;
        }
    }

    async fn frozen(&self, cells: &mut Cells) {
        for body in Fault::ScannerFrozenAtHead.bodies(cells.mode) {
            self.stack().freeze("scanner");
            cells.during(&self.world, Fault::ScannerFrozenAtHead, body, &Way::CLEAR).await;
            self.thaw().await;
            self.is_fine(cells, Fault::ScannerFrozenAtHead).await;
        }
        for body in Fault::ScannerFrozenInBody.bodies(cells.mode) {
            cells.within(&self.world, Fault::ScannerFrozenInBody, body, &Way::CLEAR, || self.stack().freeze("scanner")).await;
            self.thaw().await;
            self.is_fine(cells, Fault::ScannerFrozenInBody).await;
        }
    }

    async fn slow(&self, cells: &mut Cells) {
        for body in Fault::ScannerSlow.bodies(cells.mode) {
            let world = &self.world;
            // Asked by the cell for what it has counted, it must be awake until the request is being sent.
            let pulse = async {
                self.stack().freeze("scanner");
                tokio::time::sleep(SLOW).await;
                self.stack().thaw("scanner");
            };
            cells.with(world, Fault::ScannerSlow, body, &Way::CLEAR, pulse).await;
        }
        self.stack().scanner_is_found().await;
        self.is_fine(cells, Fault::ScannerSlow).await;
    }

    async fn out_of_memory(&self, cells: &mut Cells) {
        let fault = Fault::ScannerOutOfMemory;
        for body in fault.bodies(cells.mode) {
            let limit = RefCell::new(None);
            let strike = || drop(limit.replace(Some(Limit::none_more(self.stack().pid("scanner")))));
            if body == Body::None {
                strike();
                cells.during(&self.world, fault, body, &Way::CLEAR).await;
            } else {
                cells.within(&self.world, fault, body, &Way::CLEAR, strike).await;
            }
            // It may have got along without more memory.
            self.stack().kill("scanner");
            self.start_again().await;
            self.is_fine(cells, fault).await;
        }
    }
}
