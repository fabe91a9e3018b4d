#include "exact.h"

#include <algorithm>
#include <cfenv>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace softsign::exact {
namespace {

struct Sum {  // high + low, |low| <= half an ulp of high
    double high, low;
};
Sum two_sum(double a, double b) {
    double s = a + b, z = s - a;
    return {s, (a - (s - z)) + (b - z)};
}
Sum two_product(double a, double b) {
    double p = a * b;
    return {p, std::fma(a, b, -p)};
}

// An exact sum of doubles: a nonoverlapping expansion of increasing components (Shewchuk 1997,
// Grow-Expansion).
class Expansion {
    double component[24];
    int count = 0;

  public:
    void add(double term) {
        for (int i = 0; i < count; ++i) {
            Sum s = two_sum(term, component[i]);
            component[i] = s.low;
            term = s.high;
        }
        component[count++] = term;
    }
    void add(Sum s) { add(s.low), add(s.high); }
    int sign() const {  // that of the largest component which is not zero
        for (int i = count; i-- > 0;)
            if (component[i] != 0) return component[i] > 0 ? 1 : -1;
        return 0;
    }
};

template <class T>
struct Bits;
template <>
struct Bits<float> {
    using Type = std::int32_t;
};
template <>
struct Bits<double> {
    using Type = std::int64_t;
};
template <class T>
typename Bits<T>::Type bits_of(T y) {
    typename Bits<T>::Type bits;
    std::memcpy(&bits, &y, sizeof y);
    return bits;
}

// The number so many units above y >= 0.
template <class T>
T neighbor(T y, int units) {
    const auto bits = bits_of(y) + units;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

// The number nearest to a positive exact value v, from an estimate y at most one unit off. `exceeds(y, z)`
// says whether v is above the midpoint between y and its neighbor z, or on it where the upper one is even.
template <class T, class Exceeds>
T nearest(T y, Exceeds exceeds) {
    T up = neighbor(y, 1);
    if (exceeds(y, up)) return up;
    if (y == 0) return y;
    T down = neighbor(y, -1);
    return exceeds(y, down) ? y : down;
}

// Whether 1/(1 + a)^2 > m for finite a and the midpoint m = y + h, by the sign of 1 - m(1 + a)^2. With b 2^E =
// a, 1 <= b < 2, that is 1 - M(b + d)^2 for M = m 2^2E and d = 2^-E, all of whose terms are exact down to d =
// 2^-200. A smaller d decides nothing and is replaced by it: b and M have at most 53 and 54 bits, so that |1 -
// M b^2| is 0 or above 2^-162; and it is 0 only for a power of two, of which v lies just below.
bool derivative_exceeds(double a, double y, double z) {
    int exponent = a < 1 ? 0 : std::ilogb(a);
    double b = std::ldexp(a, -exponent), d = std::ldexp(1.0, -std::min(exponent, 200));
    y = std::ldexp(y, 2 * exponent), z = std::ldexp(z, 2 * exponent);
    double h = (z - y) / 2;
    Sum square = two_product(b, b);
    Expansion r;
    r.add(1);
    for (double m : {y, h}) {
        r.add(two_product(-m, square.high)), r.add(two_product(-m, square.low));
        r.add(two_product(-2 * m, b * d)), r.add(-m * d * d);
    }
    return r.sign() > 0;
}

// Apart, so that the expansions cost `derivative` nothing where it does not need them.
[[gnu::noinline]] double nearest_derivative(double a, double y) {
    return nearest(y, [a](double v, double z) { return derivative_exceeds(a, v, z); });
}

struct Scaled {  // (high + low) 2^exponent with high in [2^-3, 1]
    double high, low;
    int exponent;
};

// (1 + a)^-k for k = 2, 3 and finite a >= 0, relative error below 2^-100. With m 2^E = a the sum 1 + a = (t +
// e) 2^E is exact but for huge a, where the 1 underflows at 2^-1074 relative.
Scaled power(double a, int k) {
    int exponent = a < 1 ? 0 : std::ilogb(a);
    Sum t = two_sum(std::ldexp(a, -exponent), std::ldexp(1.0, -exponent));
    double c = 1 / t.high,
           d = std::fma(-t.low, c, std::fma(-t.high, c, 1.0));  // 1/(t+e) = c (1 + d + d^2 + ...)
    Sum p = two_product(c, c);
    p.low += p.high * (2 * d + 3 * d * d);
    if (k == 3) {
        Sum q = two_product(p.high, c);
        q.low += p.low * c + q.high * (d + d * d);
        p = q;
    }
    return {p.high, p.low, -k * exponent};
}

// v rounded once, subnormal results included.
double round(Scaled v) {
    int exponent = v.exponent + std::ilogb(v.high + v.low);
    if (exponent >= DBL_MIN_EXP - 1) return std::ldexp(v.high + v.low, v.exponent);
    std::feraiseexcept(FE_UNDERFLOW | FE_INEXACT);
    if (exponent < DBL_MIN_EXP - DBL_MANT_DIG - 2) return 0;
    // Adding 2^52 units of the last subnormal place rounds to that place. What is left over, in two parts, is
    // compared with half a unit; their sum could round to it.
    double unit = std::ldexp(1.0, DBL_MIN_EXP - DBL_MANT_DIG - v.exponent), anchor = 0x1p52 * unit;
    const Sum value = two_sum(v.high, v.low);  // whose low part is less than half a unit
    Sum s = two_sum(anchor, value.high);
    if ((s.low - unit / 2) + value.low > 0) s.high += unit;
    if ((s.low + unit / 2) + value.low < 0) s.high -= unit;
    return std::ldexp(s.high - anchor, v.exponent);
}

bool special(double x) { return !(std::fabs(x) <= DBL_MAX); }

// Whether r, which has the sign of v - (y + z)/2, puts v above the midpoint of two neighbors, as `nearest` asks.
template <class T>
bool above_midpoint(const Expansion &r, T y, T z) {
    const int sign = r.sign();
    return sign ? sign > 0 : bits_of(y > z ? y : z) % 2 == 0;
}

// Whether lo hi/(lo + hi) exceeds the midpoint m of y and z, by the sign of lo hi - m lo - m hi.
bool harmonic_exceeds(float lo, float hi, float y, float z) {
    const double m = (double(y) + double(z)) / 2;  // exact, as are its products
    Expansion r;
    r.add(double(lo) * hi), r.add(-m * lo), r.add(-m * hi);
    return above_midpoint(r, y, z);
}
bool harmonic_exceeds(double lo, double hi, double y, double z) {  // hi in [1, 2), lo above 2^-112
    Expansion r;
    r.add(two_product(lo, hi));
    for (double m : {y, (z - y) / 2}) r.add(two_product(-m, lo)), r.add(two_product(-m, hi));
    return above_midpoint(r, y, z);
}

// lo hi/(lo + hi) to within 2^-53 and a little, for the same arguments.
double harmonic(double lo, double hi) {
    const Sum p = two_product(lo, hi), t = two_sum(hi, lo);
    const double q = p.high / t.high;
    return q + (std::fma(-q, t.high, p.high) + (p.low - q * t.low)) / t.high;
}

// The arguments of `scaled` for which it is none of them and not nan.
template <class T>
bool ordinary(T x, T c, T &result) {
    if (std::isnan(x) || std::isnan(c)) return result = x + c, false;
    if (c < 0) return std::feraiseexcept(FE_INVALID), result = NAN, false;
    result = std::copysign(std::min(std::fabs(x), std::fabs(c)), x);
    return result != 0 && std::isfinite(x) && std::isfinite(c);
}

}  // namespace

double derivative(double x) {
    if (std::isnan(x)) return x + x;
    double a = std::fabs(x);
    if (std::isinf(a)) return 0;
    Scaled below = power(a, 2), above = below;
    below.low -= below.high * 0x1p-98, above.low += above.high * 0x1p-98;  // the error of `power`, and more
    double sum = below.high + below.low;
    if (below.exponent > DBL_MIN_EXP + 4 && sum == above.high + above.low)
        return std::ldexp(sum, below.exponent);
    double y = round(below);
    if (y == round(above)) return y;
    return nearest_derivative(a, y);
}

double second_derivative(double x) {
    if (std::isnan(x)) return x + x;
    if (std::isinf(x)) return -std::copysign(0.0, x);
    Scaled p = power(std::fabs(x), 3);
    return -std::copysign(round({p.high, p.low, p.exponent + 1}), x);
}

double gradient(double x, double dy) {
    if (std::isnan(x) || std::isnan(dy)) return x + dy;
    if (std::isinf(x)) return dy * 0;  // inf * 0 is invalid
    if (special(dy) || dy == 0) return dy;
    int exponent = std::ilogb(dy);
    Scaled p = power(std::fabs(x), 2);
    double m = std::fabs(std::ldexp(dy, -exponent));
    Sum g = two_product(m, p.high);
    return std::copysign(round({g.high, g.low + m * p.low, p.exponent + exponent}), dy);
}

float scaled(float x, float c) {
    float result;
    if (!ordinary(x, c, result)) return result;
    const float a = std::fabs(x);
    const auto estimate = static_cast<float>(double(a) * c / (double(a) + c));
    auto exceeds = [a, c](float y, float z) { return harmonic_exceeds(a, c, y, z); };
    return std::copysign(nearest(estimate, exceeds), x);
}

double scaled(double x, double c) {
    double result;
    if (!ordinary(x, c, result)) return result;
    double lo = std::fabs(result), hi = std::max(std::fabs(x), c);
    const int exponent = std::ilogb(hi);
    if (exponent - std::ilogb(lo) > 110) return result;  // from which it differs by 2^-109 of itself
    lo = std::ldexp(lo, -exponent), hi = std::ldexp(hi, -exponent);
    auto exceeds = [=](double y, double z) {
        return harmonic_exceeds(lo, hi, std::ldexp(y, -exponent), std::ldexp(z, -exponent));
    };
    return std::copysign(nearest(std::ldexp(harmonic(lo, hi), exponent), exceeds), x);
}

// dy rho^2 with rho = c/(c + |x|), of which the exponents are kept apart.
double scaled_gradient(double x, double c, double dy) {
    if (std::isnan(x) || std::isnan(c) || std::isnan(dy)) return x + c + dy;
    if (c < 0) return std::feraiseexcept(FE_INVALID), NAN;
    const double a = std::fabs(x);
    if (std::isinf(c) || (a == 0 && c != 0)) return dy;
    if (c == 0 || std::isinf(a)) return dy * 0;  // inf * 0 is invalid
    if (special(dy) || dy == 0) return dy;
    const int of_a = std::ilogb(a), of_c = std::ilogb(c), greater = std::max(of_a, of_c);
    auto shifted = [greater](double v, int exponent) {  // what lies 200 places lower makes no difference
        return std::ldexp(v, -exponent - std::min(greater - exponent, 200));
    };
    const Sum t = two_sum(shifted(a, of_a), shifted(c, of_c));
    const double m = std::ldexp(c, -of_c), s = m / t.high;
    const double low = (std::fma(-s, t.high, m) - s * t.low) / t.high;
    Sum p = two_product(s, s);
    p.low += 2 * s * low + low * low;
    const int of_dy = std::ilogb(dy);
    const double d = std::fabs(std::ldexp(dy, -of_dy));
    const Sum g = two_product(d, p.high);
    return std::copysign(round({g.high, g.low + d * p.low, 2 * (of_c - greater) + of_dy}), dy);
}

}  // namespace softsign::exact
