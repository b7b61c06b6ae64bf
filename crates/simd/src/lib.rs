//! Which bytes are of a class, 64 at a time.
//!
//! Everything here has one meaning and two ways to get there: a portable one, and one compiled for AVX2 that is taken where the processor has
//! it (Intel since 2013, AMD since 2015). Tests hold the two to the same answers. All that is `unsafe` is in `avx2.rs`.

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a processor is asked at run time what it has, and arrays are loaded as vectors")]
mod avx2;
mod class;
mod find;
mod kinds;
mod masks;
mod runs;
mod steps;

pub use class::Class;
pub use find::find;
pub use kinds::{Kinds, Seen, seen};
pub use masks::{count, masks, repeats, same};
pub use runs::{high_runs, long_runs, next_rare_run, next_run, runs};
pub use steps::in_step;

/// Something to do that is compiled more than once. A trait, because its method can be inlined always, and must be: a closure or the way to call
/// a function is compiled for the processor only where the compiler happens to think that worth it.
pub trait Work {
    /// What comes of it.
    type Answer;

    /// Does it. To be `#[inline(always)]`, as is what it calls.
    fn run(self) -> Self::Answer;
}

/// Does `work` compiled for the best that this processor has: loops over bytes become loops over vectors. The answer is the same on all
/// processors.
#[inline(always)]
pub fn best<W: Work>(work: W) -> W::Answer {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Avx2::here() {
        return avx2::run(avx2, work);
    }
    work.run()
}
