// abyssal.hpp alone, in two files of one program: everything in it must be inline.
#include <abyssal/abyssal.hpp>

std::string version_of_other_file();
std::string version_of_other_file() { return abyssal::version(); }
