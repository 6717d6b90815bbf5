//! Exposes the interpreter's version as `cfg`s and, for a wheel, builds the LD_PRELOAD shim with a second
//! cargo into OUT_DIR, from where maturin copies it beside the extension.

use std::{env, path::PathBuf, process::Command};

fn main() {
    pyo3_build_config::add_extension_module_link_args();
    pyo3_build_config::use_pyo3_cfgs();
    if env::var_os("CARGO_FEATURE_BUNDLE_SHIM").is_some() {
        build_shim();
    }
}

fn build_shim() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .join("../preload/Cargo.toml");
    println!("cargo::rerun-if-changed=../preload");
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args(["build", "--release", "--quiet", "--locked", "--lib", "--manifest-path"])
        .arg(&manifest)
        // Its own target directory: the outer cargo holds the lock of the usual one.
        .args(["--target", &target, "--target-dir"])
        .arg(out.join("shim"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "building the preload shim failed");
    let macos = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
    let name = if macos { "libfrontrun_io.dylib" } else { "libfrontrun_io.so" };
    std::fs::copy(out.join("shim").join(&target).join("release").join(name), out.join(name))
        .expect("the shim was built");
}
