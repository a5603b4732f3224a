//! Compiles the programs that the sandbox ships inside itself.
//!
//! Each file in `programs/` becomes a static executable that runs in an image
//! without any other file. `rustc` is called directly: as cargo packages they
//! would need a second target directory, and they have no dependencies. They
//! are packed, because most of each is the same standard library.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use flate2::Compression;
use flate2::write::ZlibEncoder;

const PROGRAMS: [&str; 2] = ["pause", "web"];

fn main() {
    let rustc = variable("RUSTC");
    let target = variable("TARGET");
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-changed=build.rs");
    for program in PROGRAMS {
        let source = format!("programs/{program}.rs");
        println!("cargo::rerun-if-changed={source}");
        let mut command = Command::new(&rustc);
        command
            .arg("--edition=2024")
            .arg(format!("--target={target}"))
            .arg(format!("--crate-name={program}"))
            .args(["-C", "opt-level=z", "-C", "lto=fat", "-C", "codegen-units=1"])
            .args(["-C", "panic=abort", "-C", "strip=symbols"])
            .args(["-C", "target-feature=+crt-static", "-D", "warnings"])
            .arg("-o")
            .arg(out_dir.join(program))
            .arg(&source);
        // A cross build names its linker to cargo; rustc has to hear of it too.
        if let Ok(linker) = env::var("RUSTC_LINKER") {
            command.arg("-C").arg(format!("linker={linker}"));
        }
        let status = command.status().unwrap_or_else(|error| panic!("run {rustc} for {source}: {error}"));
        assert!(status.success(), "{rustc} could not compile {source} for {target}");
        pack(&out_dir.join(program)).unwrap_or_else(|error| panic!("pack {program}: {error}"));
    }
}

fn pack(program: &Path) -> std::io::Result<()> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&fs::read(program)?)?;
    fs::write(program.with_extension("z"), packed.finish()?)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}, which cargo sets: {error}"))
}
