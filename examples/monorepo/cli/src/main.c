#include "sum.h"

int main(void)
{
	double total;
	long bad = sum_lines(stdin, &total);

	if (bad) {
		fprintf(stderr, "total: line %ld is not a number\n", bad);
		return 1;
	}
	printf("%.2f\n", total);
	return 0;
}
