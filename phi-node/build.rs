//! Makes Rust of the interface in proto/, without a compiler of it on the machine.

use std::{env, error::Error, fs, path::PathBuf};

const PROTO: &str = "phi/enforce/v1/enforce.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(PROTO)?;
    // What reflection tells: everything, the comments too.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("enforce.binpb"), descriptors)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
