// The Python module softsign._core: the ufuncs, what sets threads and kernels, and entries for other libraries.
#include <Python.h>
//
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "dispatch.h"
#include "docs.h"
#include "threads.h"
#include "ufuncs.h"

namespace softsign {
namespace {

// _compute(function, type, n, threads, *addresses). Tensors of other libraries come this way: 0.4 us a call,
// where making NumPy arrays of two of PyTorch's takes 2 us.
PyObject *compute(PyObject *, PyObject *const *args, Py_ssize_t count) {
    constexpr Py_ssize_t numbers = 4;
    std::ptrdiff_t number[numbers] = {-1, -1, -1, -1};
    for (Py_ssize_t i = 0; i < std::min(count, numbers); ++i) {
        number[i] = PyLong_AsSsize_t(args[i]);
        if (number[i] == -1 && PyErr_Occurred()) return nullptr;
    }
    const std::ptrdiff_t function = number[0], type = number[1], n = number[2];
    const int threads = static_cast<int>(std::clamp<std::ptrdiff_t>(number[3], 0, max_threads + 1));
    bool known = function >= 0 && function < static_cast<int>(Function::count) && type >= 0 &&
                 type < static_cast<int>(Type::count) &&
                 kernels_in_use()->find(Function(function), Type(type));
    const Signature signature = known ? signature_of(Function(function)) : Signature::unary;
    if (!known || n < 0 || threads < 1 || threads > max_threads ||
        count != numbers + operands_of(signature)) {
        PyErr_SetString(
            PyExc_ValueError,
            "_compute: takes a function and a type that go together, a number of elements, a number of "
            "threads, and the addresses of the inputs and the outputs");
        return nullptr;
    }
    char *address[max_operands];
    std::ptrdiff_t step[max_operands];
    for (int k = 0; k < operands_of(signature); ++k) {
        address[k] = static_cast<char *>(PyLong_AsVoidPtr(args[numbers + k]));
        if (!address[k] && PyErr_Occurred()) return nullptr;
        step[k] = static_cast<std::ptrdiff_t>(item_size(Type(type)));
    }
    if (signature == Signature::ordered) step[0] = 0;
    if (signature == Signature::scaled || signature == Signature::scaled_gradient) step[1] = 0;
    auto run = [&] { apply(Function(function), Type(type), address, step, n, threads); };
    if (n < 4096) {  // 1 us: less than another thread could make of the lock
        run();
    } else {
        Py_BEGIN_ALLOW_THREADS run();
        Py_END_ALLOW_THREADS
    }
    return Py_NewRef(Py_None);
}

// _layer(type, rows, columns, threads, alpha, *addresses): the layer with four addresses, its gradients with
// five.
PyObject *py_layer(PyObject *, PyObject *const *args, Py_ssize_t count) {
    constexpr Py_ssize_t numbers = 4, first = numbers + 1;
    std::ptrdiff_t number[numbers] = {-1, -1, -1, -1};
    for (Py_ssize_t i = 0; i < std::min(count, numbers); ++i) {
        number[i] = PyLong_AsSsize_t(args[i]);
        if (number[i] == -1 && PyErr_Occurred()) return nullptr;
    }
    const std::ptrdiff_t type = number[0], rows = number[1], columns = number[2], threads = number[3];
    const bool known =
        type >= 0 && type < static_cast<int>(Type::count) && kernels_in_use()->layer[type] != nullptr;
    if (!known || rows < 0 || columns < 0 || threads < 1 || threads > max_threads ||
        (count != first + 4 && count != first + 5)) {
        PyErr_SetString(PyExc_ValueError,
                        "_layer: takes a type that it has kernels for, rows, columns, a number of threads, "
                        "alpha, and four or five addresses");
        return nullptr;
    }
    const double alpha = PyFloat_AsDouble(args[numbers]);
    if (alpha == -1 && PyErr_Occurred()) return nullptr;
    void *a[5] = {};
    for (Py_ssize_t k = 0; k < count - first; ++k) {
        a[k] = PyLong_AsVoidPtr(args[first + k]);
        if (!a[k] && PyErr_Occurred()) return nullptr;
    }
    Layer layer{static_cast<std::size_t>(rows),
                static_cast<std::size_t>(columns),
                alpha,
                a[0],
                nullptr,
                a[1],
                a[2],
                a[3],
                nullptr,
                false};
    bool enough = true;
    Py_BEGIN_ALLOW_THREADS;
    if (count == first + 4) {
        apply_layer(Type(type), layer, static_cast<int>(threads));
    } else {
        layer.dy = a[1], layer.gamma = a[2], layer.beta = nullptr;
        enough =
            apply_layer_gradient(Type(type), layer, static_cast<double *>(a[4]), static_cast<int>(threads));
    }
    Py_END_ALLOW_THREADS;
    if (!enough) return PyErr_NoMemory();
    return Py_NewRef(Py_None);
}

// _advise_huge_pages(address, bytes)
PyObject *py_advise_huge_pages(PyObject *, PyObject *const *args, Py_ssize_t count) {
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "_advise_huge_pages: takes address and bytes, got %zd arguments",
                            count);
    const std::size_t address = PyLong_AsSize_t(args[0]),
                      bytes = PyErr_Occurred() ? 0 : PyLong_AsSize_t(args[1]);
    if (PyErr_Occurred()) return nullptr;
    advise_huge_pages(address, bytes);
    return Py_NewRef(Py_None);
}

// The memory of an argument of _fir: contiguous, float32 or float64, with so many axes.
struct Memory {
    Py_buffer view{};
    Memory(PyObject *object, const char *name, int axes, bool writable) {
        const int flags = PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object, &view, flags) == 0 && view.ndim == axes && (is('f') || is('d')))
            return;
        PyErr_Format(PyExc_TypeError, "_fir: %s must be a C-contiguous%s %d-d array of float32 or float64",
                     name, writable ? ", writable" : "", axes);
    }
    Memory(const Memory &) = delete;
    ~Memory() { PyBuffer_Release(&view); }
    bool is(char code) const { return view.format[0] == code && view.format[1] == '\0'; }
    std::size_t size(int axis) const { return static_cast<std::size_t>(view.shape[axis]); }
    bool overlaps(const Memory &other) const {
        const char *begin = static_cast<char *>(view.buf), *from = static_cast<char *>(other.view.buf);
        return begin < from + other.view.len && from < begin + view.len;
    }
};

// _fir(x, taps, out)
PyObject *py_fir(PyObject *, PyObject *const *args, Py_ssize_t count) {
    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "_fir: takes x, taps and out, got %zd arguments", count);
    const Memory x(args[0], "x", 2, false);
    if (PyErr_Occurred()) return nullptr;
    const Memory taps(args[1], "taps", 2, false);
    if (PyErr_Occurred()) return nullptr;
    const Memory out(args[2], "out", 1, true);
    if (PyErr_Occurred()) return nullptr;
    const bool wide = out.is('d');
    if (x.is('d') != wide || taps.is('d') != wide) {
        PyErr_SetString(PyExc_TypeError, "_fir: x, taps and out must have one dtype, float32 or float64");
        return nullptr;
    }
    const Fir fir{taps.size(0), taps.size(1), out.size(0), x.view.buf, taps.view.buf, out.view.buf};
    if (fir.taps_each < 1)
        return PyErr_Format(PyExc_ValueError, "_fir: taps has the shape (%zu, 0), but needs one tap or more",
                            fir.streams);
    if (x.size(0) != fir.streams || x.size(1) != fir.n + fir.taps_each - 1)
        return PyErr_Format(
            PyExc_ValueError,
            "_fir: with taps of shape (%zu, %zu) and out of shape (%zu,), x must have the shape "
            "(streams, n + taps - 1), got (%zu, %zu)",
            fir.streams, fir.taps_each, fir.n, x.size(0), x.size(1));
    if (out.overlaps(x) || out.overlaps(taps)) {
        PyErr_SetString(PyExc_ValueError, "_fir: out must share no memory with x or taps");
        return nullptr;
    }
    const FirKernel run = wide ? kernels_in_use()->fir_float64 : kernels_in_use()->fir_float32;
    Py_BEGIN_ALLOW_THREADS run(fir);
    Py_END_ALLOW_THREADS return Py_NewRef(Py_None);
}

// Every name of an enum, in its order.
PyObject *tuple_of(std::initializer_list<const char *> names) {
    PyObject *tuple = PyTuple_New(static_cast<Py_ssize_t>(names.size()));
    Py_ssize_t i = 0;
    for (const char *name : names)
        if (tuple) PyTuple_SetItem(tuple, i++, PyUnicode_FromString(name));
    return tuple;
}

int add_tuple(PyObject *module, const char *name, PyObject *tuple) {
    int failed = tuple ? PyModule_AddObjectRef(module, name, tuple) : -1;
    Py_XDECREF(tuple);
    return failed;
}

PyObject *names_of_kernels() {
    const auto &available = available_kernels();
    PyObject *names = PyTuple_New(static_cast<Py_ssize_t>(available.size()));
    for (std::size_t i = 0; names && i < available.size(); ++i)
        PyTuple_SetItem(names, static_cast<Py_ssize_t>(i), PyUnicode_FromString(available[i]->name));
    return names;
}

PyObject *cpu_features(PyObject *, PyObject *) {
    return Py_BuildValue("{s:s, s:N, s:n, s:n}", "kernels", kernels_in_use()->name, "available",
                         names_of_kernels(), "last_level_cache", static_cast<Py_ssize_t>(last_level_cache()),
                         "streams_from", static_cast<Py_ssize_t>(streams_from()));
}

int choose_kernels(const char *name, const char *parameter) {
    if (use_kernels(name)) return 0;
    PyObject *names = names_of_kernels();
    if (!names) return -1;
    PyErr_Format(PyExc_ValueError, "%s must be one of the kernels that this CPU can run, %R, got '%s'",
                 parameter, names, name);
    Py_DECREF(names);
    return -1;
}

PyObject *py_use_kernels(PyObject *, PyObject *argument) {
    PyObject *text = PyUnicode_AsUTF8String(argument);
    if (!text) return nullptr;
    int failed = choose_kernels(PyBytes_AsString(text), "name");
    Py_DECREF(text);
    return failed ? nullptr : Py_NewRef(Py_None);
}

PyObject *py_get_num_threads(PyObject *, PyObject *) { return PyLong_FromLong(get_num_threads()); }

PyObject *py_set_num_threads(PyObject *, PyObject *argument) {
    PyObject *index = PyBool_Check(argument) ? nullptr : PyNumber_Index(argument);
    if (!index) {
        PyErr_Format(PyExc_TypeError, "set_num_threads: n must be an integer from 1 to %d, got %R",
                     max_threads, argument);
        return nullptr;
    }
    int overflow;
    long n = PyLong_AsLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (overflow || n < 1 || n > max_threads) {
        PyErr_Format(PyExc_ValueError, "set_num_threads: n must be an integer from 1 to %d, got %R",
                     max_threads, argument);
        return nullptr;
    }
    set_num_threads(static_cast<int>(n));
    return Py_NewRef(Py_None);
}

int read_environment() {
    const char *former = std::getenv("SOFTSIGN_CPU");
    if (former && *former) {
        PyErr_Format(PyExc_ValueError, "SOFTSIGN_CPU is now SOFTSIGN_KERNELS: set that to '%s'", former);
        return -1;
    }
    const char *kernels = std::getenv("SOFTSIGN_KERNELS");
    if (kernels && *kernels && choose_kernels(kernels, "SOFTSIGN_KERNELS")) return -1;
    const char *threads = std::getenv("SOFTSIGN_NUM_THREADS");
    if (!threads || !*threads) return 0;
    char *end;
    long n = std::strtol(threads, &end, 10);
    if (*end || n < 1 || n > max_threads) {
        PyErr_Format(PyExc_ValueError, "SOFTSIGN_NUM_THREADS must be an integer from 1 to %d, got '%s'",
                     max_threads, threads);
        return -1;
    }
    set_num_threads(static_cast<int>(n));
    return 0;
}

PyMethodDef methods[] = {
    {"cpu_features", cpu_features, METH_NOARGS, docs::cpu_features},
    {"get_num_threads", py_get_num_threads, METH_NOARGS, docs::get_num_threads},
    {"set_num_threads", py_set_num_threads, METH_O, docs::set_num_threads},
    {"_use_kernels", py_use_kernels, METH_O, docs::use_kernels},
    {"_compute", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(compute)), METH_FASTCALL,
     docs::compute},
    {"_layer", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_layer)), METH_FASTCALL,
     docs::layer},
    {"_advise_huge_pages", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_advise_huge_pages)),
     METH_FASTCALL, docs::advise_huge_pages},
    {"_fir", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_fir)), METH_FASTCALL, docs::fir},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject *module) {
    static std::int64_t owner = -1;  // interpreters share what is static, and must not share Python's objects
    const std::int64_t interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    if (owner != -1 && owner != interpreter) {
        PyErr_SetString(PyExc_ImportError, "softsign: only one interpreter of a process can import it");
        return -1;
    }
    if (add_ufuncs(module) < 0) return -1;
    owner = interpreter;
#define X(name, ...) #name,
    if (add_tuple(module, "_functions", tuple_of({SOFTSIGN_FUNCTIONS(X)})) < 0) return -1;
    if (add_tuple(module, "_types", tuple_of({SOFTSIGN_TYPES(X)})) < 0) return -1;
#undef X
    if (PyModule_AddIntConstant(module, "_max_order", max_order) < 0) return -1;
    last_level_cache();          // reads files under a lock, which a process forked meanwhile would never get
    static bool set_up = false;  // what the program has set since is not set back
    if (!set_up && read_environment() < 0) return -1;
    set_up = true;
    return 0;
}

PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void *>(execute)}, {0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "softsign._core",
    "The softsign ufuncs (native).",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace
}  // namespace softsign

// By this name threadpoolctl tells the core from the libraries of others that are called _core.
extern "C" [[gnu::visibility("default")]] int softsign_get_num_threads() {
    return softsign::get_num_threads();
}

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&softsign::definition); }
