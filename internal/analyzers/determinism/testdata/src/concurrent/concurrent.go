// Package concurrent lets the scheduler decide.
package concurrent

func start(c chan int) {
	go func() { c <- 1 }() // want `starts a goroutine`
}

func first(a, b chan int) int {
	select { // want `selects among channels`
	case x := <-a:
		return x
	case x := <-b:
		return x
	}
}
