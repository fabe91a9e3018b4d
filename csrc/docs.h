#pragma once
namespace softsign::docs {
constexpr char softsign[] = "softsign";
constexpr char derivative[] = "derivative";
constexpr char inverse[] = "inverse";
constexpr char second_derivative[] = "second_derivative";
constexpr char antiderivative[] = "antiderivative";
constexpr char second_antiderivative[] = "second_antiderivative";
constexpr char log_jacobian[] = "log_jacobian";
constexpr char gradient[] = "gradient";
constexpr char gradient_from_output[] = "gradient_from_output";
constexpr char nth_derivative[] = "nth_derivative";
constexpr char cpu_features[] = "cpu_features";
constexpr char get_num_threads[] = "get_num_threads";
constexpr char set_num_threads[] = "set_num_threads";
constexpr char use_kernels[] = "use_kernels";
}
