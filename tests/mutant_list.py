"""The mistakes that `make mutants` plants: a wrong sign, bound, index or comparison each, over all rooms."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A mistake, and the tests that are to catch it."""

    file: str
    old: str
    new: str
    tests: str

    @property
    def native(self) -> bool:
        """Whether it has to be compiled."""
        return self.file.startswith("csrc/")

    def applied(self, text: str) -> str:
        """Return the text of the file with the mistake in it."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {self.old!r} {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


UFUNCS = "tests/test_ufuncs.py tests/test_accuracy.py"
SEGMENTS = "tests/test_segments.py"
SCALED = "tests/test_scaled.py"
THREADS = "tests/test_threads.py"
REFERENCE = "tests/test_reference.py tests/test_accuracy.py"
DISTRIBUTIONS = "tests/test_torch_distributions.py"
VARIANTS = "tests/test_torch_variants.py"
INIT = "tests/test_init.py src/softsign/init.py"
FILES = "tests/test_files.py tests/test_stream.py tests/test_cli.py"
OPERATOR = "tests/test_operator_family.py tests/test_operator_gradient.py tests/test_operator_net.py"
ROBUST = "tests/test_robust.py"
ONNX = "tests/test_onnx_dialect.py tests/test_onnx_gradient.py tests/test_onnx_nets.py"

MUTANTS = (
    # The core
    Mutant("csrc/scaled.h", "e = fma(a, z_low, fma(a, z, 1 - t))", "e = fma(a, z, 1 - t)", SCALED),
    Mutant("csrc/scaled.h", "fma(q, d.e, -fma(x, c, -p))", "fma(q, d.e, fma(x, c, -p))", SCALED),
    Mutant(
        "csrc/scaled.h",
        "vd p = s * s, p_low = fma(s, s, -p) + 2 * (s * h);",
        "vd p = s * s, p_low = 2 * (s * h);",
        SCALED,
    ),
    Mutant("csrc/scaled.h", "splat<vf>(1 - 0x4p-24f) / t", "splat<vf>(1) / t", SCALED),
    Mutant("csrc/scaled.h", "r = fnma(s, d.e, fnma(s, d.t, c));", "r = fnma(s, d.t, c);", SCALED),
    Mutant("csrc/scaled.h", "high = 0x5d800000,", "high = 0x7f800000,", SCALED),
    Mutant("csrc/scaled.h", "| (z - least<vf>);", ";", SCALED),
    Mutant("csrc/scaled.h", "most = m > most ? m : most,", "most = m,", SCALED),
    Mutant("csrc/scaled.h", "if (limit[0] == 0) return", "if (0) return", SCALED),
    Mutant("csrc/simd.h", "(error != 0) & (((vl)s & 1) - 1)", "0 & (((vl)s & 1) - 1)", SCALED),
    Mutant("csrc/scaled.h", "(is_inf(c) & is_inf(t)) | (t == 0)", "is_inf(c) & is_inf(t)", SCALED),
    Mutant("csrc/exact.cpp", "bits_of(y > z ? y : z) % 2 == 0", "bits_of(y > z ? y : z) % 2 != 0", SCALED),
    Mutant("csrc/dispatch.cpp", "of_number && steps[1] == 0", "of_number", SCALED),
    Mutant(
        "src/softsign/torch/ops.py", 'number = array.array("f" if', 'number = array.array("d" if', VARIANTS
    ),
    Mutant("csrc/loops.h", "        return head;\n", "        return 0;\n", THREADS),
    Mutant("csrc/loops.h", "round_to_bfloat<ties>(v[u + 1]);", "round_to_bfloat<ties>(v[u]);", UFUNCS),
    Mutant("csrc/simd.h", "& 1) : b + 0x7fff;", "& 1) : b + 0x8000;", UFUNCS),
    Mutant("csrc/simd.h", "(vi)((vu)even >> 16) |", "(even >> 16) |", UFUNCS),
    Mutant("csrc/ops.h", "(V)((Bits<V>)x + is_inf(x));", "x;", UFUNCS),
    Mutant("csrc/loops.h", "pad = x[i];", "pad = T{};", UFUNCS),
    Mutant("csrc/ops.h", "left > 1000 ? vl{} + 1000 : left", "left > 1000 ? vl{} + 1100 : left", UFUNCS),
    Mutant("csrc/logarithms.h", "(vl)splat<vd>(0x1p60), beyond", "(vl)splat<vd>(0x1p50), beyond", UFUNCS),
    Mutant("csrc/logarithms.h", "(Bits<V>)splat<V>(0.75) + 1)", "(Bits<V>)splat<V>(0.75))", UFUNCS),
    Mutant("csrc/logarithms.h", "(vi)splat<vf>(0x1p-40f)", "(vi)splat<vf>(0x1p-70f)", UFUNCS),
    Mutant("csrc/logarithms.h", "0.5 * (power - 1)", "0.5 * power", UFUNCS),
    Mutant("csrc/logarithms.h", "lost = q - add_exact", "lost = 0 * q - add_exact", UFUNCS),
    Mutant("csrc/logarithms.h", "a - (u - 1);  // of 1 + a", "(u - 1) - a;  // of 1 + a", UFUNCS),
    Mutant("csrc/ops.h", "y2 = fnma(r, above(s.c, 16), q)", "y2 = fnma(r, above(s.c, 1), q)", UFUNCS),
    Mutant("csrc/ops.h", "fnma(h, s.t, fnma(v, s.t, abs(x)))", "fnma(v, s.t, abs(x))", UFUNCS),
    Mutant("csrc/ops.h", "fnma(v, s.e, left) > h * s.e", "fma(v, s.e, left) > h * s.e", UFUNCS),
    Mutant(
        "csrc/ops.h",
        "(Bits<V>)splat<V>(2 / Enclosure<V>::u)",
        "(Bits<V>)splat<V>(4 / Enclosure<V>::u)",
        UFUNCS,
    ),
    Mutant("csrc/ops.h", "(same & decided.above)", "(same & (decided.above ^ 1))", UFUNCS),
    Mutant("csrc/ops.h", "own &= ~same;", "own = Bits<V>{};", UFUNCS),
    Mutant(
        "csrc/ops.h",
        "t = 1 + a;\n    return {t, low - (t - high)};",
        "t = 1 + a;\n    return {t, a - (t - 1)};",
        UFUNCS,
    ),
    Mutant("csrc/ops.h", "(160 * Enclosure<V>::u", "(1 * Enclosure<V>::u", UFUNCS),
    Mutant("csrc/ops.h", "most = splat<V>(0x1p126f);", "most = splat<V>(__builtin_inff());", UFUNCS),
    Mutant("csrc/loops.h", "(V)low) | (low == 0);", "(V)low);", UFUNCS),
    Mutant("csrc/loops.h", "Op::beyond(x, y);\n}", "y;\n}", UFUNCS),
    Mutant("csrc/ops.h", "y2 = fma(c, c, above(m, 24))", "y2 = fma(c, c, above(m, 1))", UFUNCS),
    Mutant("csrc/ops.h", "splat<vf>(-2 + 0x6p-24f) / d.t", "splat<vf>(-2) / d.t", UFUNCS),
    Mutant("csrc/loops.h", "found |= low - Op::template least<V>;", "found |= low;", UFUNCS),
    Mutant("csrc/loops.h", "return op.rest(s[k], args...);", "return op.rest(s[0], args...);", UFUNCS),
    Mutant("csrc/ops.h", "d.t * (1 - 0x5p-24f)", "d.t", UFUNCS),
    Mutant("csrc/ops.h", "? 0x27000000 ", "? 0x17000000 ", UFUNCS),
    Mutant("csrc/ops.h", "z - scale < 0x0f000000", "z < 0x0f000000", UFUNCS),
    Mutant("csrc/loops.h", "return left != 0 ? define(op, x) : y;", "return define(op, x);", UFUNCS),
    Mutant("csrc/simd.h", "& ~0x3fff) == 0", "& ~0x3f) == 0", UFUNCS),
    Mutant("csrc/exact.cpp", "return exceeds(y, down) ? y : down;", "return y;", UFUNCS),
    Mutant(
        "csrc/exact.cpp",
        "std::fma(-t.low, c, std::fma(-t.high, c, 1.0))",
        "std::fma(t.low, c, std::fma(-t.high, c, 1.0))",
        UFUNCS,
    ),
    Mutant(
        "csrc/exact.cpp",
        "DBL_MIN_EXP - DBL_MANT_DIG - 2) return 0",
        "DBL_MIN_EXP - DBL_MANT_DIG + 2) return 0",
        UFUNCS,
    ),
    Mutant("csrc/segments.h", "fall = (h - g * (1 + r)) * c;", "fall = (h - g * (1 - r)) * c;", SEGMENTS),
    Mutant(
        "csrc/segments.h",
        "const Bits<V> huge = large > S(0x1p1000);",
        "const Bits<V> huge = large > S(0x1p1023);",
        SEGMENTS,
    ),
    Mutant("csrc/segments.h", "without(of_two_signs(a, b), is_zero(less))", "of_two_signs(a, b)", SEGMENTS),
    Mutant(
        "csrc/segments.h",
        "k = (vd)(exponents + 0x4330000000000000) - 0x1p52;",
        "k = (vd)(exponents + 0x4330000000000000) - 0x1.0000000000001p52;",
        SEGMENTS,
    ),
    Mutant(
        "csrc/fir.h",
        "for (; i < f.n; ++i) step<T, 1>(f, i);",
        "for (; i + 1 < f.n; ++i) step<T, 1>(f, i);",
        SEGMENTS,
    ),
    Mutant(
        "csrc/dispatch.cpp",
        "for (int o = inputs; o < operands; ++o) {",
        "for (int o = inputs; o < inputs + 1; ++o) {",
        SEGMENTS,
    ),
    Mutant("csrc/scalar.h", "> 0x7e70000000000000", "> 0x7fefffff00000000", UFUNCS),
    Mutant("csrc/threads.cpp", "environment.enter();", "", THREADS),
    Mutant("csrc/threads.cpp", "raised |= environment.raised();", "environment.raised();", THREADS),
    Mutant("csrc/threads.cpp", "if (!x87) return _mm_getcsr() &", "if (0) return _mm_getcsr() &", THREADS),
    Mutant("csrc/threads.cpp", "pthread_sigmask(SIG_SETMASK, &all, &before);", "", THREADS),
    Mutant("src/softsign/threadpool.py", "min(num_threads, 1024)", "num_threads", "tests/test_threadpool.py"),
    Mutant("csrc/ufuncs.cpp", "n < 0 || n > max_order", "n < 0 || n > max_order + 1", UFUNCS),
    # Exact values, theory, files
    Mutant(
        "src/softsign/reference.py", "max_exponent\n    rounded", "max_exponent - 1\n    rounded", REFERENCE
    ),
    Mutant(
        "src/softsign/accuracy.py",
        "(np.signbit(tail) != np.signbit(head)) & (tail != 0)",
        "(np.signbit(tail) == np.signbit(head)) & (tail != 0)",
        REFERENCE,
    ),
    Mutant(
        "src/softsign/init.py",
        "return 4 * variance * (derivative**3 @ _MEAN)",
        "return 4 * variance * (derivative**2 @ _MEAN)",
        INIT,
    ),
    Mutant("src/softsign/stream.py", "held < n * x.itemsize", "held < (n - 1) * x.itemsize", FILES),
    Mutant(
        "src/softsign/_files.py", "Path(os.path.realpath(target))", "Path(os.path.abspath(target))", FILES
    ),
    # Operators
    Mutant(
        "src/softsign/operator/walks.py",
        "latest.get(name, 0) + 1) for name in op.outputs]",
        "latest.get(name, 1) + 1) for name in op.outputs]",
        OPERATOR,
    ),
    Mutant("src/softsign/operator/arithmetic.py", "x.dtype.itemsize == 2", "x.dtype.itemsize == 1", OPERATOR),
    Mutant("src/softsign/operator/arithmetic.py", "floor + ((rest != 0)", "floor - ((rest != 0)", OPERATOR),
    Mutant(
        "src/softsign/operator/family.py",
        "number(2) * (np.abs(y) - number(1))",
        "number(2) * (np.abs(y) + number(1))",
        OPERATOR,
    ),
    Mutant(
        "src/softsign/operator/family.py",
        "if self.input_is_lost(0):",
        "if not self.input_is_lost(0):",
        OPERATOR,
    ),
    Mutant("src/softsign/operator/net.py", "known != passed or", "known == passed or", OPERATOR),
    # ONNX
    Mutant(
        "src/softsign/onnx/sgd.py",
        'self.node("Sub", kept, move,',
        'self.node("Add", kept, move,',
        "tests/test_onnx_sgd.py",
    ),
    Mutant(
        "src/softsign/onnx/fix.py",
        "opset_of(imports) < 22",
        "opset_of(imports) < 23",
        "tests/test_onnx_fix.py",
    ),
    Mutant("src/softsign/onnx/dialect.py", 'f"?{value.name}:{i}"', '"?"', ONNX),
    Mutant(
        "src/softsign/onnx/functions.py",
        "n <= functions.MAX_ORDER or",
        "n < functions.MAX_ORDER or",
        "tests/test_onnx_functions.py",
    ),
    Mutant(
        "src/softsign/onnx/recurrent.py",
        "(1 - z) * made + z * h",
        "z * made + (1 - z) * h",
        "tests/test_onnx_reference.py",
    ),
    Mutant(
        "src/softsign/onnx/pooling.py",
        '(mode == "SAME_LOWER")',
        '(mode == "SAME_UPPER")',
        "tests/test_onnx_reference.py",
    ),
    Mutant("src/softsign/onnx/raising.py", '"asymmetric"', '"half_pixel"', "tests/test_onnx_raising.py"),
    Mutant(
        "src/softsign/onnx/loading.py", "if end > held:", "if end > held + 1:", "tests/test_onnx_check.py"
    ),
    # PyTorch and JAX
    Mutant("csrc/dispatch.cpp", "begin, MADV_HUGEPAGE);", "begin, MADV_NORMAL);", "tests/test_torch.py"),
    Mutant("src/softsign/torch/ops.py", "y.nbytes >= _HUGE", "y.nbytes > _HUGE", "tests/test_torch.py"),
    Mutant(
        "src/softsign/torch/formulas.py",
        "return (1, -2, 2, 0)[min(n, 3)], max(2 - n, 0)",
        "return (1, 2, 2, 0)[min(n, 3)], max(2 - n, 0)",
        "tests/test_torch.py tests/test_torch_derivatives.py",
    ),
    Mutant(
        "src/softsign/torch/formulas.py",
        "dy.conj() * _direction(x) ** 2 * half",
        "dy.conj() * _direction(x) * half",
        "tests/test_torch.py tests/test_torch_compile.py",
    ),
    Mutant(
        "src/softsign/torch/nn.py",
        'self.range.fill_(self.init["range"])',
        'self.range.fill_(self.init["slope"])',
        "tests/test_torch.py",
    ),
    Mutant("csrc/layer.h", "any(is_nan(sum)), 0)", "false, 0)", VARIANTS),
    Mutant("csrc/layer.h", "any(is_nan(dgamma[0]) | is_nan(dgamma[N - 1])), 0)", "false, 0)", VARIANTS),
    Mutant(
        "src/softsign/torch/variants.py",
        "rules.scaled_slope(ctx.name, ctx.number, x",
        "rules.scaled_slope(ctx.name, 1.0, x",
        VARIANTS,
    ),
    Mutant(
        "src/softsign/torch/dynamic.py",
        "sums[2 * columns], sums[:columns], sums[columns:-1]",
        "sums[2 * columns], sums[columns:-1], sums[:columns]",
        VARIANTS,
    ),
    Mutant(
        "src/softsign/torch/dynamic.py",
        "all(t.device == x.device and",
        "all(t.is_cuda and",
        "tests/test_torch_cuda_layer.py",
    ),
    Mutant(
        "src/softsign/torch/cuda.py",
        "tl.where((d < 0) == above, y, other)",
        "tl.where((d < 0) == above, y, y if x.dtype == tl.float64 else other)",
        "tests/test_torch_cuda.py",
    ),
    Mutant(
        "src/softsign/torch/cuda_layer.py",
        "tl.where(far, 0.0, g * (r * number))",
        "g * (r * number)",
        "tests/test_torch_cuda_layer.py",
    ),
    Mutant(
        "src/softsign/torch/cuda_layer.py",
        "range(start, tl.minimum(start + chunk, steps))",
        "range(start, start + chunk)",
        "tests/test_torch_cuda_layer.py",
    ),
    Mutant(
        "src/softsign/torch/init.py",
        "- square * rest) - mixed)",
        "- square * rest) + mixed)",
        "tests/test_torch_init.py",
    ),
    Mutant(
        "src/softsign/torch/distributions.py",
        "rest.where(rest >= 0, torch.nan)",
        "rest",
        DISTRIBUTIONS,
    ),
    Mutant(
        "src/softsign/torch/distributions.py",
        "result.where(~x.isinf(), -torch.inf)",
        "result",
        DISTRIBUTIONS,
    ),
    Mutant(
        "src/softsign/torch/distributions.py",
        "4 * self.scale.square()",
        "2 * self.scale.square()",
        DISTRIBUTIONS,
    ),
    Mutant("src/softsign/torch/distributions.py", "for s in (1, -1)", "for s in (1, 1)", DISTRIBUTIONS),
    Mutant(
        "src/softsign/jax/bijector.py",
        "jnp.where(rest >= 0, rest, jnp.nan)",
        "rest",
        "tests/test_jax.py",
    ),
    Mutant(
        "src/softsign/jax/arithmetic.py",
        "series = math.comb(m + k - 1, k) + d * series",
        "series = math.comb(m + k - 1, k) - d * series",
        "tests/test_jax.py",
    ),
    Mutant(
        "src/softsign/jax/initializers.py",
        "max(1.0, outputs**2 / max(1, matrix.size))",
        "max(1.0, outputs / max(1, matrix.size))",
        "tests/test_jax_initializers.py",
    ),
    # Data, study, pictures, command
    Mutant(
        "src/softsign/data/shapeset.py",
        "(y <= middles) != (next_y <= middles)",
        "(y < middles) != (next_y < middles)",
        "tests/test_data_shapeset.py",
    ),
    Mutant(
        "src/softsign/data/files.py",
        "len(x) - len(x) // 5",
        "len(x) - len(x) // 6",
        "tests/test_data_files.py",
    ),
    Mutant(
        "src/softsign/study/training.py",
        "_error(network, *source.valid), _error(network, *source.test)",
        "_error(network, *source.test), _error(network, *source.test)",
        "tests/test_study_training.py",
    ),
    Mutant(
        "src/softsign/study/folder.py",
        "if trial.name not in self.results]",
        "if trial.name in self.results]",
        "tests/test_study_folder.py",
    ),
    Mutant(
        "src/softsign/study/sources.py",
        "[skip : len(x) // trial.batch_size]",
        "[: len(x) // trial.batch_size]",
        "tests/test_study_sources.py",
    ),
    Mutant(
        "src/softsign/study/tables.py",
        "_validation(results) < _validation(best",
        "_validation(results) > _validation(best",
        "tests/test_study_report.py",
    ),
    Mutant(
        "src/softsign/learn/network.py",
        "dy[np.arange(len(label)), label] -= 1",
        "dy[np.arange(len(label)), label] += 1",
        "tests/test_learn.py",
    ),
    Mutant("src/softsign/learn/plots.py", "np.abs(y) < 1]", "np.abs(y) <= 1]", "tests/test_learn.py"),
    Mutant("src/softsign/learn/views.py", "y[1:] < y[:-1]", "y[1:] > y[:-1]", "tests/test_learn_plots.py"),
    Mutant(
        "src/softsign/variants/family.py",
        "np.where(a > 1, t / a, 1)",
        "np.where(a > 1, t, 1)",
        "tests/test_variants.py",
    ),
    Mutant("src/softsign/variants/balls.py", "-(len(p) + 1)", "-(len(p) - 1)", "tests/test_variants.py"),
    Mutant("src/softsign/learn/sound.py", "np.exp(2j *", "np.exp(-2j *", "tests/test_cli_audio.py"),
    Mutant(
        "src/softsign/applications/audio/files.py",
        "y[max(-made, 0) :",
        "y[max(-made - 1, 0) :",
        "tests/test_cli_audio.py",
    ),
    Mutant("src/softsign/cli/audio.py", "math.ceil(200", "math.floor(200", "tests/test_cli_audio.py"),
    # Applications
    Mutant(
        "src/softsign/applications/_distribution.py",
        "np.log1p(-elliott(-a))",
        "np.log1p(-elliott(-x))",
        "tests/test_stats.py",
    ),
    Mutant("src/softsign/applications/_distribution.py", "2.0**-54))", "2.0**-1074))", "tests/test_stats.py"),
    Mutant(
        "src/softsign/applications/control/describing.py",
        "step = 1 / 6",
        "step = 1 / 3",
        "tests/test_control.py",
    ),
    Mutant(
        "src/softsign/applications/control/laws.py",
        "disturbance >= self.gain",
        "disturbance > self.gain",
        "tests/test_control.py",
    ),
    Mutant(
        "src/softsign/applications/science.py",
        "deviation.min() / deviation",
        "deviation / deviation.min()",
        "tests/test_science.py",
    ),
    Mutant(
        "src/softsign/applications/audio/_chain.py",
        "streams[0] -= self._rest",
        "streams[0] += self._rest",
        "tests/test_audio.py",
    ),
    Mutant(
        "src/softsign/applications/audio/_chain.py",
        "self._last[channel][...] = self._new",
        "self._last[channel][...] = self._before",
        "tests/test_audio.py",
    ),
    Mutant(
        "src/softsign/applications/audio/_filters.py",
        "longer = round(2 * ((2 - taps - latency) % 2))",
        "longer = 0",
        "tests/test_audio.py",
    ),
    Mutant("src/softsign/applications/audio/_filters.py", "(1, 1, -1)", "(1, 1, 1)", "tests/test_audio.py"),
    Mutant(
        "src/softsign/applications/audio/_methods.py",
        "np.subtract(r, q, out=high), least",
        "np.subtract(r, p, out=high), least",
        "tests/test_audio.py",
    ),
    Mutant("src/softsign/applications/science.py", "x.size - 2", "x.size - 1", "tests/test_science.py"),
    Mutant(
        "src/softsign/applications/__init__.py",
        "if error.name != module",
        "if error.name == module",
        "tests/test_companding.py",
    ),
    Mutant(
        "src/softsign/applications/companding/law.py",
        "6 * s - 2 * first",
        "6 * s + 2 * first",
        "tests/test_companding.py",
    ),
    Mutant(
        "src/softsign/applications/companding/adc.py",
        "self.lowest = -self.highest - (not midtread)",
        "self.lowest = -self.highest - 1",
        "tests/test_companding.py",
    ),
    Mutant(
        "src/softsign/applications/companding/g711.py",
        "positive=0xD5, negative=0x55",
        "positive=0x55, negative=0xD5",
        "tests/test_companding.py",
    ),
    Mutant(
        "src/softsign/applications/companding/optimal.py",
        "* (levels - edges[:-1]) / mass",
        "* (levels + edges[:-1]) / mass",
        "tests/test_companding.py",
    ),
    Mutant(
        "src/softsign/applications/companding/files.py",
        "sums += x.size * np.array",
        "sums += np.array",
        "tests/test_cli_compand.py",
    ),
    Mutant(
        "src/softsign/applications/tonemap/_light.py",
        "np.copysign(1, light)",
        "np.ones_like(light)",
        "tests/test_tonemap.py",
    ),
    Mutant(
        "src/softsign/applications/tonemap/_light.py",
        "np.may_share_memory(image, result) and not",
        "np.may_share_memory(image, result) and",
        "tests/test_tonemap.py",
    ),
    Mutant(
        "src/softsign/applications/tonemap/operators.py",
        "max(1, sum(n for _, n in sums))",
        "light[..., 0].size",
        "tests/test_tonemap.py",
    ),
    Mutant(
        "src/softsign/cli/tonemap.py",
        "image > 1, image < 0",
        "image > 1, image > 0",
        "tests/test_cli_tonemap.py",
    ),
    Mutant(
        "src/softsign/applications/robust/fair.py",
        "-0.5 * np.square(slope)",
        "0.5 * np.square(slope)",
        ROBUST,
    ),
    Mutant(
        "src/softsign/applications/robust/fair.py",
        "np.subtract(y_pred, y_true",
        "np.subtract(y_true, y_pred",
        ROBUST,
    ),
    Mutant(
        "src/softsign/applications/robust/linear.py",
        "(lower(values) - lower(-values)) / 2",
        "lower(values)",
        ROBUST,
    ),
    Mutant("src/softsign/applications/robust/penalties.py", "np.arcsin(s) / 3", "np.arcsin(s) / 2", ROBUST),
    Mutant("src/softsign/applications/robust/penalties.py", "- a / 2 if jumps", "- a if jumps", ROBUST),
    Mutant("src/softsign/applications/robust/norms.py", "if not inplace:", "if inplace:", ROBUST),
    Mutant("src/softsign/applications/robust/sparse.py", "rows / weights, targets", "rows, targets", ROBUST),
    Mutant(
        "src/softsign/cli/apply.py",
        "header.nbytes / 1e6 / seconds",
        "header.nbytes * 1e6 / seconds",
        "tests/test_cli.py",
    ),
)
