// The functions as NumPy ufuncs.
#pragma once
#include <Python.h>

namespace softsign {

int add_ufuncs(PyObject *module);  // -1, with an exception set, if that fails

}  // namespace softsign
