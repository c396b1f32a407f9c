//! An interpreter within the target: the extension's code is the instrumented one linked here, and what is compared is
//! written in Python (`tests/support/json_oracle.py`), where the other codecs are.

use std::collections::HashMap;
use std::sync::OnceLock;

use _native as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

const EXECUTABLE: &str = env!("AISYS_FUZZ_PYTHON");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");

unsafe extern "C" {
    /// The initialisation function of the extension, from its own crate.
    fn PyInit__native() -> *mut ffi::PyObject;
}

/// Start the interpreter as that of the virtual environment, with the extension among its built-in modules.
fn start() {
    // SAFETY: called once, before anything else runs: no other thread reads the environment, no interpreter exists, and
    // the strings live for ever. Every object in its own malloc block, so that the sanitizer sees where each one ends.
    unsafe {
        std::env::set_var("PYTHONMALLOC", "malloc");
        ffi::PyImport_AppendInittab(c"aisys._native".as_ptr(), Some(PyInit__native));
        let mut config = std::mem::zeroed::<ffi::PyConfig>();
        ffi::PyConfig_InitPythonConfig(&raw mut config);
        config.install_signal_handlers = 0;
        let executable = std::ffi::CString::new(EXECUTABLE).expect("a path without NUL");
        let program_name = &raw mut config.program_name;
        let status = ffi::PyConfig_SetBytesString(&raw mut config, program_name, executable.as_ptr());
        assert_eq!(ffi::PyStatus_Exception(status), 0);
        let status = ffi::Py_InitializeFromConfig(&raw const config);
        assert_eq!(ffi::PyStatus_Exception(status), 0, "the interpreter does not start");
        ffi::PyConfig_Clear(&raw mut config);
    }
}

fn checks() -> &'static HashMap<String, Py<PyAny>> {
    static CHECKS: OnceLock<HashMap<String, Py<PyAny>>> = OnceLock::new();
    CHECKS.get_or_init(|| {
        start();
        Python::attach(|py| -> PyResult<HashMap<String, Py<PyAny>>> {
            py.import("sys")?.getattr("path")?.call_method1("insert", (0, TESTS))?;
            let native = py.import("aisys._native")?;
            if native.hasattr("__file__")? {
                return Err(PyRuntimeError::new_err("it is not the linked extension"));
            }
            py.import("support.json_oracle")?.getattr("CHECKS")?.extract()
        })
        .unwrap_or_else(|error| fail(&error))
    })
}

/// Run one of the checks of `json_oracle`; an exception is a finding.
pub fn check(name: &str, data: &[u8]) {
    let check = &checks()[name];
    Python::attach(|py| {
        if let Err(error) = check.call1(py, (PyBytes::new(py, data),)) {
            fail(&error);
        }
    });
}

fn fail(error: &PyErr) -> ! {
    Python::attach(|py| error.print(py));
    panic!("the check failed: {error}");
}
