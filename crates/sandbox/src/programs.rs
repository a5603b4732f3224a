//! The static programs that this crate ships, as bytes.
//!
//! Their sources are in `programs/`; `build.rs` compiles them for the same
//! target as the binary. Deliberately absent: anything that needs a file in the
//! image besides the program itself.

use std::io::Read as _;
use std::sync::LazyLock;

/// Does nothing until SIGTERM: first process of pods and of nodes.
pub static PAUSE: LazyLock<Vec<u8>> = LazyLock::new(|| unpack(PACKED[0]));

/// The sample web application.
pub static WEB: LazyLock<Vec<u8>> = LazyLock::new(|| unpack(PACKED[1]));

/// The programs as they lie in this binary: other bytes are other programs.
pub(crate) const PACKED: [&[u8]; 2] =
    [include_bytes!(concat!(env!("OUT_DIR"), "/pause.z")), include_bytes!(concat!(env!("OUT_DIR"), "/web.z"))];

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut program = Vec::new();
    flate2::read::ZlibDecoder::new(packed).read_to_end(&mut program).expect("the build packed it");
    program
}
