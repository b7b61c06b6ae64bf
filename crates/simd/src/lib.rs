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

pub use class::Class;
pub use find::find;
pub use kinds::{Kinds, Seen, seen};
pub use masks::{count, masks, repeats, same};
pub use runs::{next_run, runs};

/// Runs `f` compiled for the best that this processor has: loops over bytes become loops over vectors. What `f` calls must be
/// `#[inline(always)]` to be compiled so too. The answer is the same on all processors.
#[inline(always)]
pub fn best<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        return avx2::run(f);
    }
    f()
}
