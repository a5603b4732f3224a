//! Holds namespaces open by doing nothing, for as long as it is left to.
//!
//! It is the first process of every pod sandbox (the `pause` image) and of
//! every node (the process that keeps a node's namespaces alive). As PID 1 of a
//! shared PID namespace it also inherits orphans: ignoring SIGCHLD makes the
//! kernel reap them, so no zombie can stay (wait(2), "SIGCHLD ignored").
//! SIGTERM and SIGINT end it with exit code 0; PID 1 has no default action for
//! them, so a handler is needed.
//!
//! Deliberately absent: arguments, output, and the `libc` crate. The file is
//! compiled by itself, without dependencies, into a static program.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "std has no signal handling, and this program may have no dependencies")]
mod signals {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    const SIGCHLD: i32 = 17;
    const SIG_IGN: usize = 1;

    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
        fn _exit(code: i32) -> !;
    }

    extern "C" fn end(_number: i32) {
        // SAFETY: _exit is async-signal-safe and takes any code.
        unsafe { _exit(0) }
    }

    pub fn install() {
        let end: extern "C" fn(i32) = end;
        // SAFETY: the numbers are valid signals; `end` lives for the whole
        // program and calls only an async-signal-safe function.
        unsafe {
            signal(SIGCHLD, SIG_IGN);
            signal(SIGINT, end as usize);
            signal(SIGTERM, end as usize);
        }
    }
}

fn main() {
    signals::install();
    loop {
        std::thread::park();
    }
}
