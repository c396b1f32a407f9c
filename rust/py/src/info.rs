//! Facts of the build.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The version, cargo profile, optimisation level and target this extension was built with.
#[pyfunction]
fn build_facts(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("version", env!("CARGO_PKG_VERSION"))?;
    facts.set_item("profile", env!("AISYS_PROFILE"))?;
    facts.set_item("opt_level", env!("AISYS_OPT_LEVEL"))?;
    facts.set_item("target", env!("AISYS_TARGET"))?;
    Ok(facts)
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(build_facts, module)?)
}
