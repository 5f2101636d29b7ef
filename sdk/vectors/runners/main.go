// Runs docs/webhooks/verify.go, as the package `webhooks` beside this file, over the vectors in the file that is named.
// Prints what was judged otherwise than expected (then it exits with 1), each outcome with its status, and how many ran.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	"example/webhooks"
)

type vectors struct {
	Keys     map[string]struct{ Secret, Public string }
	Receiver struct {
		Window int64 `json:"window_s"`
	}
	Vectors []vector
}

type vector struct {
	Name     string
	Profiles []string
	Request  struct {
		Method, URL string
		Headers     [][2]string
		Body        string `json:"body_base64"`
	}
	Now    int64
	Keys   []string
	Seen   [][]json.RawMessage
	Room   int    // of the store
	Store  string // vectors that name one come to the same receiver in turn
	Expect string
}

func main() {
	var file vectors
	bytes, err := os.ReadFile(os.Args[1])
	check(err)
	check(json.Unmarshal(bytes, &file))
	stores := map[string]*webhooks.MemoryStore{}
	outcomes := map[string]int{}
	ran, wrong := 0, 0
	for _, vector := range file.Vectors {
		for _, holds := range receivers(vector.Profiles) {
			store := stores[vector.Store+holds]
			if store == nil || vector.Store == "" {
				store = storeOf(file, vector)
				stores[vector.Store+holds] = store
			}
			result := run(file, vector, holds, store)
			ran++
			outcomes[fmt.Sprint(result.Code, " ", result.Status)]++
			if result.Code != vector.Expect || (result.Message.ID == "") == (result.Status == 200) {
				wrong++
				fmt.Printf("wrong: %s, with %s: %s\n", vector.Name, holds, result.Code)
			}
		}
	}
	var lines []string
	for outcome, count := range outcomes {
		lines = append(lines, fmt.Sprint(outcome, ": ", count, "\n"))
	}
	sort.Strings(lines)
	fmt.Printf("%s%d ran, %d judged otherwise\n", strings.Join(lines, ""), ran, wrong)
	if ran == 0 || wrong > 0 {
		os.Exit(1)
	}
}

// What a receiver may hold: a vector of both profiles is for one who holds either half of a key, and for one who holds both.
func receivers(profiles []string) (all []string) {
	for _, profile := range profiles {
		if profile == "v1" || profile == "v1a" {
			all = append(all, profile)
		}
	}
	if len(all) == 2 {
		all = append(all, "v1+v1a")
	}
	return all
}

func run(file vectors, vector vector, holds string, store webhooks.Store) webhooks.Result {
	keys := map[string]webhooks.Key{}
	for _, id := range vector.Keys {
		key := file.Keys[id]
		switch holds {
		case "v1":
			key.Public = ""
		case "v1a":
			key.Secret = ""
		}
		parsed, err := webhooks.NewKey(key.Secret, key.Public)
		check(err)
		keys[id] = parsed
	}
	body, err := base64.StdEncoding.DecodeString(vector.Request.Body)
	check(err)
	request, err := http.NewRequest(vector.Request.Method, vector.Request.URL, strings.NewReader(string(body)))
	check(err)
	for _, header := range vector.Request.Headers {
		request.Header.Add(header[0], header[1])
	}
	return webhooks.Verify(request, keys, file.window(), time.Unix(vector.Now, 0), store)
}

// What was seen is an id, a timestamp and, where that differs, when it was seen.
func storeOf(file vectors, vector vector) *webhooks.MemoryStore {
	if vector.Room == 0 {
		vector.Room = 100
	}
	store := &webhooks.MemoryStore{Room: vector.Room}
	for _, seen := range vector.Seen {
		var message webhooks.Message
		check(json.Unmarshal(seen[0], &message.ID))
		check(json.Unmarshal(seen[1], &message.Timestamp))
		at := message.Timestamp
		if len(seen) > 2 {
			check(json.Unmarshal(seen[2], &at))
		}
		when := time.Unix(at, 0)
		store.Remember(message, when, when.Add(2*file.window()), when.Add(35*24*time.Hour))
	}
	return store
}

func (file vectors) window() time.Duration { return time.Duration(file.Receiver.Window) * time.Second }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
