// Package helm holds the chart of Rutter, and what it is held to.
//
//	rutter/ (chart) + values ──helm template──► testdata/*.yaml (goldens)
//
// The goldens show what every change of the chart changes in a cluster; `make
// update-golden` rewrites them.
package helm
