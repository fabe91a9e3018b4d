// Scalar float64 functions for the inputs that the vector arithmetic of ops.h does not settle: results near a
// rounding midpoint, huge arguments, inf and nan. Compiled once, without flags for any instruction set.
#pragma once

namespace softsign::exact {

double derivative(double x);
double second_derivative(double x);
double gradient(double x, double dy);
double scaled(double x, double c);
double scaled_gradient(double x, double c, double dy);
float scaled(float x, float c);  // for results near a midpoint of float32

}  // namespace softsign::exact
