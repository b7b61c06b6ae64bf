//! Hyperscan in block mode, behind a safe surface. The only unsafe code here; outside the workspace.

use std::ffi::{CString, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{null, null_mut};

use kingfisher_vectorscan_sys as sys;

/// One expression; its index is its id.
pub(crate) struct Expression {
    pub(crate) text: CString,
    pub(crate) flags: u32,
}

/// Compiled expressions with the scratch space of one thread.
pub(crate) struct Block {
    database: *mut sys::hs_database_t,
    scratch: *mut sys::hs_scratch_t,
}

type Visit<'a> = &'a mut dyn FnMut(usize, usize, usize);

impl Block {
    /// Compiles; the error is the expression at fault, if one is known.
    pub(crate) fn compile(all: &[Expression]) -> Result<Block, Option<usize>> {
        let texts: Vec<_> = all.iter().map(|e| e.text.as_ptr()).collect();
        let flags: Vec<c_uint> = all.iter().map(|e| e.flags).collect();
        let ids: Vec<c_uint> = (0..all.len() as u32).collect();
        let (mut database, mut error, mut scratch) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the three arrays have `all.len()` elements and outlive the call; the strings end in NUL.
        let status = unsafe {
            let n = all.len() as c_uint;
            sys::hs_compile_multi(texts.as_ptr(), flags.as_ptr(), ids.as_ptr(), n, sys::HS_MODE_BLOCK, null(), &mut database, &mut error)
        };
        if status != 0 {
            // SAFETY: a failed compile sets `error`, which is ours to free, once.
            let at = unsafe {
                let at = (*error).expression;
                sys::hs_free_compile_error(error);
                at
            };
            return Err(usize::try_from(at).ok());
        }
        // SAFETY: `database` is valid; `scratch` is null, which means a new one.
        let status = unsafe { sys::hs_alloc_scratch(database, &mut scratch) };
        assert_eq!(status, 0, "no memory for scratch space");
        Ok(Block { database, scratch })
    }

    /// Calls `visit(id, from, to)` for every report.
    pub(crate) fn scan(&mut self, bytes: &[u8], mut visit: impl FnMut(usize, usize, usize)) {
        let mut visit: Visit<'_> = &mut visit;
        // SAFETY: database and scratch belong together, `&mut self` keeps the scratch to one scan, and `context` outlives the call.
        let status = unsafe {
            let context = (&raw mut visit).cast::<c_void>();
            sys::hs_scan(self.database, bytes.as_ptr().cast(), bytes.len() as c_uint, 0, self.scratch, Some(report), context)
        };
        assert_eq!(status, 0, "a scan does not fail");
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: both are ours and not used again.
        unsafe {
            sys::hs_free_scratch(self.scratch);
            sys::hs_free_database(self.database);
        }
    }
}

unsafe extern "C" fn report(id: c_uint, from: c_ulonglong, to: c_ulonglong, _flags: c_uint, context: *mut c_void) -> c_int {
    // SAFETY: `context` is the `Visit` that `scan` passed, alive and not used elsewhere during the call.
    let visit = unsafe { &mut *context.cast::<Visit<'_>>() };
    visit(id as usize, from as usize, to as usize);
    0
}
