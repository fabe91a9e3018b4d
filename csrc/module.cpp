// The Python module softsign._core: the kernels as NumPy ufuncs. The only file that knows Python and NumPy.
#include <Python.h>
//
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "dispatch.h"
#include "docs.h"
#include "threads.h"

namespace softsign {
namespace {

static_assert(sizeof(npy_intp) == sizeof(std::ptrdiff_t), "steps are passed on as they are");

struct LoopData {
    Function function;
    Type type;
};

void run_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) {
    const LoopData &loop = *static_cast<const LoopData *>(data);
    apply(loop.function, loop.type, args, steps, dimensions[0], get_num_threads());
}

void run_nth_derivative(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) {
    npy_intp orders = steps[0] == 0 ? (dimensions[0] > 0) : dimensions[0];
    for (npy_intp i = 0; i < orders; ++i) {
        npy_int64 n;
        std::memcpy(&n, args[0] + i * steps[0], sizeof n);
        if (n < 0 || n > max_order) {
            NPY_ALLOW_C_API_DEF
            NPY_ALLOW_C_API
            PyErr_Format(PyExc_ValueError, "nth_derivative: n must be an integer from 0 to %d, got %lld",
                         max_order, static_cast<long long>(n));
            NPY_DISABLE_C_API
            return;
        }
    }
    run_loop(args, dimensions, steps, data);
}

// NumPy's number of each type.
#define X(name, bytes, number) number,
constexpr int type_numbers[] = {SOFTSIGN_TYPES(X)};
#undef X
constexpr int types = static_cast<int>(Type::count);

// A ufunc and what it points to, which NumPy does not copy. It lives as long as the process: a module that is
// executed again, as after `del sys.modules["softsign._core"]`, gets the same objects, which others may hold.
struct Ufunc {
    const char *name, *doc;
    Function function;
    Signature signature;
    PyUFuncGenericFunction loop[types];
    void *data[types];
    LoopData loops[types], bfloat16;
    char codes[types * 3];
    PyUFuncObject *object;

    int inputs() const { return inputs_of(signature); }
};

#define X(name, Op, signature) \
    {#name, docs::name, Function::name, Signature::signature, {}, {}, {}, {}, {}, nullptr},
Ufunc ufuncs[] = {SOFTSIGN_FUNCTIONS(X)};
#undef X

PyUFunc_TypeResolutionFunc *numpy_resolver = nullptr;

PyUFuncGenericFunction loop_of(const Ufunc &u) {
    return u.signature == Signature::ordered ? run_nth_derivative : run_loop;
}

bool is_bfloat16(PyArray_Descr *descr) {
    if (descr->type_num < NPY_USERDEF) return false;
    PyObject *type = reinterpret_cast<PyObject *>(descr->typeobj);
    PyObject *name = PyObject_GetAttrString(type, "__name__");
    bool same = name && PyUnicode_CompareWithASCIIString(name, "bfloat16") == 0;
    Py_XDECREF(name);
    if (!name) PyErr_Clear();
    return same;
}

// Gives a ufunc its loop for ml_dtypes' bfloat16 the first time it meets one, so that importing softsign need
// not import ml_dtypes. A loop that is already there is simply replaced by itself.
int register_bfloat16(Ufunc &u, int type_num) {
    int types[3] = {type_num, type_num, type_num};
    if (u.signature == Signature::ordered) types[0] = NPY_INT64;
    u.bfloat16 = {u.function, Type::bfloat16};
    return PyUFunc_RegisterLoopForType(u.object, type_num, loop_of(u), types, &u.bfloat16);
}

PyArray_Descr *descr_of(PyObject *item) {  // of an operand or of an entry of dtype=/signature=
    if (item && PyArray_Check(item)) return PyArray_DESCR(reinterpret_cast<PyArrayObject *>(item));
    if (item && PyArray_DescrCheck(item)) return reinterpret_cast<PyArray_Descr *>(item);
    return nullptr;
}

Ufunc *find_ufunc(const PyUFuncObject *object) {
    for (Ufunc &u : ufuncs)
        if (u.object == object) return &u;
    return nullptr;
}

PyArray_Descr *entry(PyObject *types, Py_ssize_t i) {  // of dtype= or signature=, as NumPy passes them on
    return types && PyTuple_Check(types) && i < PyTuple_Size(types) ? descr_of(PyTuple_GetItem(types, i))
                                                                    : nullptr;
}

// The types that a call asks for, completed: dtype= names that of the result, and all others are the same but
// the order's. An order of uint64, which need not fit int64, is cast as the call's `casting` allows; what does
// not fit becomes negative and is refused. A new reference, null where nothing is asked for.
PyObject *complete(const Ufunc &u, PyArrayObject **operands, PyObject *types) {
    const int count = u.inputs() + 1;
    const bool ordered = u.signature == Signature::ordered;
    PyArray_Descr *result = entry(types, count - 1);
    for (int i = 0; result && i < count - 1; ++i) {
        PyArray_Descr *given = entry(types, i);
        const int expected = ordered && i == 0 ? NPY_INT64 : result->type_num;
        if (given && given->type_num != expected) result = nullptr;
    }
    const int order = PyArray_DESCR(operands[0])->type_num;
    const bool unsigned_order = ordered && !types && (order == NPY_ULONG || order == NPY_ULONGLONG);
    if (!result && !unsigned_order) return Py_XNewRef(types);
    PyObject *all = PyTuple_New(count);
    for (int i = 0; all && i < count; ++i) {
        PyObject *item = result ? reinterpret_cast<PyObject *>(result) : Py_None;
        PyTuple_SetItem(all, i,
                        ordered && i == 0 ? reinterpret_cast<PyObject *>(PyArray_DescrFromType(NPY_INT64))
                                          : Py_NewRef(item));
    }
    return all;
}

// NumPy says "not supported for the input types"; ours says which types. Its casting errors, subclasses of
// TypeError, name them already. `asked` is what dtype= or signature= ask for, or null.
void name_the_types(const Ufunc &u, PyArrayObject **operands, PyObject *asked) {
    if (PyErr_Occurred() != PyExc_TypeError) return;
    PyErr_Clear();
    const bool ordered = u.signature == Signature::ordered;
    PyObject *first = reinterpret_cast<PyObject *>(PyArray_DESCR(operands[0]));
    PyObject *second = u.inputs() == 1 ? nullptr : reinterpret_cast<PyObject *>(PyArray_DESCR(operands[1]));
    const char *complex = kernels_in_use()->find(u.function, Type::complex128) ? " and complex" : "";
    if (ordered && entry(asked, 0) && !PyTypeNum_ISINTEGER(entry(asked, 0)->type_num))
        PyErr_Format(PyExc_TypeError,
                     "%s: n is an integer and the result is none, so that there is no reduce, accumulate or "
                     "reduceat, and no signature that begins with %R",
                     u.name, entry(asked, 0));
    else if (asked)
        PyErr_Format(PyExc_TypeError,
                     "%s: dtype= or signature= ask for %R; it computes in %sone real floating-point%s dtype",
                     u.name, asked, ordered ? "int64 (the order) and " : "", complex);
    else if (!second)
        PyErr_Format(PyExc_TypeError,
                     "%s: an argument of %R is not supported; it takes real floating-point%s dtypes, "
                     "integers and bool",
                     u.name, first, complex);
    else
        PyErr_Format(PyExc_TypeError, "%s: arguments of %R and %R are not supported; it takes %s", u.name,
                     first, second,
                     ordered ? "an integer order and a real floating-point, integer or bool argument"
                             : "real floating-point dtypes, integers and bool");
}

// NumPy finds the loop for bfloat16 only where an operand has that type, not where dtype= alone names it. What
// can be cast it checks itself. False if `types` are others.
bool resolve_bfloat16(const Ufunc &u, PyObject *types, PyArray_Descr **out) {
    for (int i = 0; i <= u.inputs(); ++i) {
        PyArray_Descr *descr = entry(types, i);
        const bool order = i == 0 && u.signature == Signature::ordered;
        if (!descr || !(order ? descr->type_num == NPY_INT64 : is_bfloat16(descr))) return false;
    }
    for (int i = 0; i <= u.inputs(); ++i)
        out[i] = reinterpret_cast<PyArray_Descr *>(Py_NewRef(PyTuple_GetItem(types, i)));
    return true;
}

int resolve_types(PyUFuncObject *object, NPY_CASTING casting, PyArrayObject **operands, PyObject *type_tuple,
                  PyArray_Descr **out) {
    Ufunc *u = find_ufunc(object);
    if (!u) return numpy_resolver(object, casting, operands, type_tuple, out);
    for (int i = 0; i <= u->inputs(); ++i)
        for (PyArray_Descr *descr :
             {descr_of(reinterpret_cast<PyObject *>(operands[i])), entry(type_tuple, i)})
            if (descr && is_bfloat16(descr) && register_bfloat16(*u, descr->type_num) < 0) return -1;
    PyObject *types = complete(*u, operands, type_tuple);
    if (PyErr_Occurred()) return -1;
    int result = 0;
    if (!resolve_bfloat16(*u, types, out)) result = numpy_resolver(object, casting, operands, types, out);
    if (result < 0) name_the_types(*u, operands, type_tuple);
    Py_XDECREF(types);
    return result;
}

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
    const Ufunc *u = known ? &ufuncs[function] : nullptr;  // both follow functions.h
    if (!known || n < 0 || threads < 1 || threads > max_threads || count != numbers + u->inputs() + 1) {
        PyErr_SetString(
            PyExc_ValueError,
            "_compute: takes a function and a type that go together, a number of elements, a number of "
            "threads, and the addresses of the inputs and the output");
        return nullptr;
    }
    char *address[3];
    std::ptrdiff_t step[3];
    for (int k = 0; k <= u->inputs(); ++k) {
        address[k] = static_cast<char *>(PyLong_AsVoidPtr(args[numbers + k]));
        if (!address[k] && PyErr_Occurred()) return nullptr;
        step[k] = static_cast<std::ptrdiff_t>(item_size(Type(type)));
    }
    if (u->signature == Signature::ordered) step[0] = 0;
    auto run = [&] { apply(u->function, Type(type), address, step, n, threads); };
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

bool make_ufunc(Ufunc &u) {
    int count = 0;
    char *code = u.codes;
    for (int t = 0; t < types; ++t) {
        if (type_numbers[t] == NPY_NOTYPE || !kernels_in_use()->find(u.function, Type(t))) continue;
        u.loops[count] = {u.function, Type(t)};
        u.loop[count] = loop_of(u);
        u.data[count] = &u.loops[count];
        for (int k = 0; k <= u.inputs(); ++k)
            *code++ =
                static_cast<char>(k == 0 && u.signature == Signature::ordered ? NPY_INT64 : type_numbers[t]);
        ++count;
    }
    PyObject *object = PyUFunc_FromFuncAndData(u.loop, u.data, u.codes, count, u.inputs(), 1, PyUFunc_None,
                                               u.name, u.doc, 0);
    if (!object) return false;
    u.object = reinterpret_cast<PyUFuncObject *>(object);
    numpy_resolver = u.object->type_resolver;
    u.object->type_resolver = resolve_types;
    // Without it pickle searches every loaded module for the ufunc. Before 2.2, NumPy's ufuncs take no
    // attributes.
    PyObject *home = PyUnicode_FromString("softsign");
    if (home && PyObject_SetAttrString(object, "__module__", home) < 0) PyErr_Clear();
    Py_XDECREF(home);
    return true;
}

PyObject *names_of_kernels() {
    const auto &available = available_kernels();
    PyObject *names = PyTuple_New(static_cast<Py_ssize_t>(available.size()));
    for (std::size_t i = 0; names && i < available.size(); ++i)
        PyTuple_SetItem(names, static_cast<Py_ssize_t>(i), PyUnicode_FromString(available[i]->name));
    return names;
}

PyObject *cpu_features(PyObject *, PyObject *) {
    return Py_BuildValue("{s:s, s:N, s:n}", "kernels", kernels_in_use()->name, "available",
                         names_of_kernels(), "last_level_cache", static_cast<Py_ssize_t>(last_level_cache()));
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
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject *module) {
    static std::int64_t owner = -1;  // interpreters share what is static, and must not share Python's objects
    const std::int64_t interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    if (owner != -1 && owner != interpreter) {
        PyErr_SetString(PyExc_ImportError, "softsign: only one interpreter of a process can import it");
        return -1;
    }
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) return -1;
    owner = interpreter;
    for (Ufunc &u : ufuncs) {
        if (!u.object && !make_ufunc(u)) return -1;
        if (PyModule_AddObjectRef(module, u.name, reinterpret_cast<PyObject *>(u.object)) < 0) return -1;
    }
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

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&softsign::definition); }
