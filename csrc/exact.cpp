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

// The float64 so many units above y >= 0.
double neighbor(double y, int units) {
    std::int64_t bits;
    std::memcpy(&bits, &y, sizeof y);
    bits += units;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

// The float64 nearest to a positive exact value v, from an estimate y at most one unit off. `exceeds(y, z)`
// says whether v is above the midpoint between y and its neighbor z; v is never a midpoint (a fraction whose
// denominator is not a power of two, or else a float64).
template <class Exceeds>
double nearest(double y, Exceeds exceeds) {
    double up = neighbor(y, 1);
    if (exceeds(y, up)) return up;
    if (y == 0) return y;
    double down = neighbor(y, -1);
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
    Sum s = two_sum(anchor, v.high);
    if ((s.low - unit / 2) + v.low > 0) s.high += unit;
    if ((s.low + unit / 2) + v.low < 0) s.high -= unit;
    return std::ldexp(s.high - anchor, v.exponent);
}

bool special(double x) { return !(std::fabs(x) <= DBL_MAX); }

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

}  // namespace softsign::exact
