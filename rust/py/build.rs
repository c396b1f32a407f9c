//! Records facts of the build for `aisys.build_info()`.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "unknown".into());
    let opt_level = std::env::var("OPT_LEVEL").unwrap_or_else(|_| "unknown".into());
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".into());
    println!("cargo::rustc-env=AISYS_PROFILE={profile}");
    println!("cargo::rustc-env=AISYS_OPT_LEVEL={opt_level}");
    println!("cargo::rustc-env=AISYS_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
