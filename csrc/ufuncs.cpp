// The functions as NumPy ufuncs. The only file that knows NumPy.
#include "ufuncs.h"
//
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

#include <cstdint>
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
    char codes[types * max_operands];
    PyUFuncObject *object;

    int inputs() const { return inputs_of(signature); }
    int operands() const { return operands_of(signature); }
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
    int types[max_operands] = {type_num, type_num, type_num, type_num, type_num};
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

// The types that a call asks for, completed: dtype= names that of the results, and all others are the same but
// the order's. An order of uint64, which need not fit int64, is cast as the call's `casting` allows; what does
// not fit becomes negative and is refused. A new reference, null where nothing is asked for.
PyObject *complete(const Ufunc &u, PyArrayObject **operands, PyObject *types) {
    const int count = u.operands();
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
    else if (u.inputs() == 3)
        PyErr_Format(PyExc_TypeError,
                     "%s: arguments of %R, %R and %R are not supported; it takes real floating-point dtypes, "
                     "integers and bool",
                     u.name, first, second, reinterpret_cast<PyObject *>(PyArray_DESCR(operands[2])));
    else
        PyErr_Format(PyExc_TypeError, "%s: arguments of %R and %R are not supported; it takes %s", u.name,
                     first, second,
                     ordered ? "an integer order and a real floating-point, integer or bool argument"
                             : "real floating-point dtypes, integers and bool");
}

// NumPy finds the loop for bfloat16 only where an operand has that type, not where dtype= alone names it. What
// can be cast it checks itself. False if `types` are others.
bool resolve_bfloat16(const Ufunc &u, PyObject *types, PyArray_Descr **out) {
    for (int i = 0; i < u.operands(); ++i) {
        PyArray_Descr *descr = entry(types, i);
        const bool order = i == 0 && u.signature == Signature::ordered;
        if (!descr || !(order ? descr->type_num == NPY_INT64 : is_bfloat16(descr))) return false;
    }
    for (int i = 0; i < u.operands(); ++i)
        out[i] = reinterpret_cast<PyArray_Descr *>(Py_NewRef(PyTuple_GetItem(types, i)));
    return true;
}

int resolve_types(PyUFuncObject *object, NPY_CASTING casting, PyArrayObject **operands, PyObject *type_tuple,
                  PyArray_Descr **out) {
    Ufunc *u = find_ufunc(object);
    if (!u) return numpy_resolver(object, casting, operands, type_tuple, out);
    for (int i = 0; i < u->operands(); ++i)
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

bool make_ufunc(Ufunc &u) {
    int count = 0;
    char *code = u.codes;
    for (int t = 0; t < types; ++t) {
        if (type_numbers[t] == NPY_NOTYPE || !kernels_in_use()->find(u.function, Type(t))) continue;
        u.loops[count] = {u.function, Type(t)};
        u.loop[count] = loop_of(u);
        u.data[count] = &u.loops[count];
        for (int k = 0; k < u.operands(); ++k)
            *code++ =
                static_cast<char>(k == 0 && u.signature == Signature::ordered ? NPY_INT64 : type_numbers[t]);
        ++count;
    }
    PyObject *object = PyUFunc_FromFuncAndData(u.loop, u.data, u.codes, count, u.inputs(),
                                               outputs_of(u.signature), PyUFunc_None, u.name, u.doc, 0);
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

}  // namespace

int add_ufuncs(PyObject *module) {
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) return -1;
    for (Ufunc &u : ufuncs) {
        if (!u.object && !make_ufunc(u)) return -1;
        if (PyModule_AddObjectRef(module, u.name, reinterpret_cast<PyObject *>(u.object)) < 0) return -1;
    }
    return 0;
}

}  // namespace softsign
