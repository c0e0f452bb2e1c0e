#include "sum.h"

#include <stdlib.h>

long sum_lines(FILE *in, double *total)
{
	char line[256];
	long number = 0;

	*total = 0;
	while (fgets(line, sizeof line, in)) {
		char *end;
		double value = strtod(line, &end);

		number++;
		if (end == line || (*end != '\n' && *end != '\0'))
			return number;
		*total += value;
	}
	return 0;
}
