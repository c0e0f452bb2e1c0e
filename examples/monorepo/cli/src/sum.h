#ifndef SUM_H
#define SUM_H

#include <stdio.h>

/* Adds up the numbers in a stream, one a line. Returns 0, or the number of the first line that is none. */
long sum_lines(FILE *in, double *total);

#endif
