// Package conditions decides what the status of an object should say.
//
//	Verdict (from SNAPSHOTS), Fleet (from RECEIPTS), the present status, now ──Of──► Result: the status
//
// The projector's verdict says all but one thing: whether the Envoys run it.
// That is Programmed, which this package adds: True once an Envoy of the Gateway
// is connected and every connected one holds a version that includes the
// object's generation; and for that generation it stays True, so that an Envoy
// that starts later does not flip it.
//
// The package promises that what others wrote (conditions of other types, the
// parents of other controllers) stays as and where it is, that all our
// conditions of one entry have one observedGeneration, that lastTransitionTime
// moves only when a condition's status does, and that the status it gives for
// its own result is that result. It is pure; the time is an argument.
//
// Read object.go first, then programmed.go.
package conditions
