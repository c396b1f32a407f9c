//! Tells the targets which interpreter to be, and the linker where its library is.

fn main() {
    let interpreter = pyo3_build_config::get();
    let executable = interpreter.executable().expect("PYO3_PYTHON names an interpreter");
    println!("cargo::rustc-env=AISYS_FUZZ_PYTHON={executable}");
    pyo3_build_config::add_libpython_rpath_link_args();
    println!("cargo::rerun-if-env-changed=PYO3_PYTHON");
}
