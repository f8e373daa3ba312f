//! phi-verify in a program that has no standard library.
//!
//! Nothing runs here: that it builds is the test. A static library must hold everything it
//! needs, and this one brings its own panic handler and allocator. Should any crate below
//! phi-verify link the standard library, the panic handler is defined twice and the build
//! fails.

#![no_std]

extern crate alloc;
extern crate phi_verify as _;

use core::panic::PanicInfo;

use linked_list_allocator::LockedHeap;

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
