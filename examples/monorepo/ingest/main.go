// Ingest takes lines of numbers over HTTP and answers with their total.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
)

// Total adds up the numbers in r, one a line.
func Total(r io.Reader) (float64, error) {
	total, lines := 0.0, bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		value, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
		if err != nil {
			return 0, fmt.Errorf("line %d is not a number", n)
		}
		total += value
	}
	return total, lines.Err()
}

func main() {
	http.HandleFunc("/total", func(w http.ResponseWriter, r *http.Request) {
		total, err := Total(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%.2f\n", total)
	})
	log.Fatal(http.ListenAndServe(":9000", nil))
}
