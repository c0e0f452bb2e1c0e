package main

import (
	"strings"
	"testing"
)

func TestTotal(t *testing.T) {
	total, err := Total(strings.NewReader("1\n2.5\n"))
	if err != nil || total != 3.5 {
		t.Fatalf("got %v, %v", total, err)
	}
}

func TestTotalNamesTheBadLine(t *testing.T) {
	if _, err := Total(strings.NewReader("1\nx\n")); err == nil || err.Error() != "line 2 is not a number" {
		t.Fatalf("got %v", err)
	}
}
