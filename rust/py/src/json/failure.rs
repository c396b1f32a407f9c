//! Why writing stopped, and the exception that it becomes.

use pyo3::prelude::*;

use super::errors::encode_error;

/// Why writing stopped: one pointer wide.
pub struct Failure(Box<Cause>);

enum Cause {
    /// The value has no JSON form; the path leads to it, innermost token first.
    Value { message: String, path: Vec<String> },
    /// An exception of someone else's code.
    Python(PyErr),
}

/// The failure of a value without a JSON form.
#[cold]
pub fn refused(message: impl Into<String>) -> Failure {
    Failure(Box::new(Cause::Value {
        message: message.into(),
        path: Vec::new(),
    }))
}

#[cold]
pub fn python_failure(error: PyErr) -> Failure {
    Failure(Box::new(Cause::Python(error)))
}

impl Failure {
    /// Goes one container outwards.
    pub fn inside(&mut self, token: String) {
        if let Cause::Value { path, .. } = &mut *self.0 {
            path.push(token);
        }
    }

    pub fn into_pyerr(self, py: Python<'_>) -> PyErr {
        match *self.0 {
            Cause::Python(error) => error,
            Cause::Value { message, path } => {
                let pointer = path.iter().rev().fold(String::new(), |mut pointer, token| {
                    pointer.push('/');
                    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
                    pointer
                });
                encode_error(py, &message, &pointer)
            }
        }
    }
}
