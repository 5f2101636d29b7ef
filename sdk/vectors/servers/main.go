// A server around the lines at the head of docs/webhooks/verify.go, which stand where it says LINES.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"example/webhooks"
)

func actOn(message webhooks.Message) {
	file, _ := os.OpenFile("acted", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	fmt.Fprintln(file, message.ID)
	file.Close()
}

func main() {
	key, err := webhooks.NewKey("SECRET", "")
	if err != nil {
		panic(err)
	}
	keys := map[string]webhooks.Key{"KEY_ID": key}
	store := &webhooks.MemoryStore{Room: 1000}
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	fmt.Fprintf(os.Stderr, "http://%s\n", listener.Addr())
	http.Serve(listener, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		// LINES
	}))
}
