// Package webhooks verifies webhooks of Countersign with Go's standard library alone (1.19 or newer). Copy this file into
// your project: nothing else belongs to it. What it checks, and why in this order, is on the page wire-format.md beside it;
// Countersign's own tests run this file against that page's vectors.
//
//	result := webhooks.Verify(request, keys, 5*time.Minute, time.Now(), store)
//	if result.Code == "accepted" {
//		actOn(result.Message)
//	}
//	response.WriteHeader(result.Status)
package webhooks

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBodyBytes = 256 << 10
	keepIDFor    = 35 * 24 * time.Hour // longer than the sender can send it again
)

// statuses holds every outcome and the status that tells it to the sender.
var statuses = map[string]int{
	"accepted":             http.StatusOK,
	"duplicate":            http.StatusOK, // acted on before: answer so, and do nothing
	"too_large":            http.StatusRequestEntityTooLarge,
	"unsupported_encoding": http.StatusUnsupportedMediaType,
	"malformed":            http.StatusBadRequest,
	"stale":                http.StatusRequestTimeout,
	"future":               http.StatusBadRequest,
	"unknown_key":          http.StatusUnauthorized,
	"bad_signature":        http.StatusUnauthorized,
	"replayed":             http.StatusConflict,
	"unavailable":          http.StatusServiceUnavailable, // the store cannot remember: the sender tries again
}

// The headers that are read, and the form of each.
var (
	id         = regexp.MustCompile(`^msg_[0-9a-hjkmnp-tv-z]{26}$`)
	timestamp  = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)
	signatures = regexp.MustCompile(`^[a-z][0-9a-z]*,[0-9A-Za-z+/]+={0,2}( [a-z][0-9a-z]*,[0-9A-Za-z+/]+={0,2}){0,3}$`)
	keyIDs     = regexp.MustCompile(`^whk_[0-9a-hjkmnp-tv-z]{26}( whk_[0-9a-hjkmnp-tv-z]{26})?$`)
	attemptID  = regexp.MustCompile(`^att_[0-9a-hjkmnp-tv-z]{26}$`)
)

// Message is what was sent, once it is verified.
type Message struct {
	ID        string // the same each time the message is sent
	Timestamp int64  // when this attempt was signed, in seconds since 1970
	AttemptID string // for your logs; v1 and v1a do not sign it
	Body      []byte // JSON, byte for byte as it was signed
}

// Result says what to answer, and what to act on if Code is "accepted".
type Result struct {
	Code    string
	Status  int
	Message Message // of an accepted message and of a duplicate
}

func result(code string) Result { return Result{Code: code, Status: statuses[code]} }

// Verify judges a request by the keys that you hold, by their ids. It accepts a message once and refuses whatever is wrong
// in any way; no input makes it panic.
func Verify(request *http.Request, keys map[string]Key, window time.Duration, now time.Time, store Store) Result {
	// Counted while it arrives: the length that a sender declares is a claim.
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBodyBytes+1))
	switch {
	case err != nil: // the connection broke
		return result("malformed")
	case len(body) > maxBodyBytes:
		return result("too_large")
	}
	// What is signed is what was sent, so nothing is unpacked: no small body becomes a huge one.
	for _, encoding := range request.Header.Values("Content-Encoding") {
		if !strings.EqualFold(encoding, "identity") {
			return result("unsupported_encoding")
		}
	}
	wellFormed := true
	read := func(name string, form *regexp.Regexp) string {
		values := request.Header.Values(name)
		// Of a header that comes twice, another reader than this one may take the other value.
		if len(values) != 1 || !form.MatchString(values[0]) {
			wellFormed = false
			return ""
		}
		return values[0]
	}
	idText, timeText := read("Webhook-Id", id), read("Webhook-Timestamp", timestamp)
	signed, decoded := parseSignatures(read("Webhook-Signature", signatures))
	named := strings.Fields(read("Webhook-Key-Id", keyIDs))
	attempt := read("Webhook-Attempt-Id", attemptID)
	if !wellFormed || !decoded {
		return result("malformed")
	}
	// The form admits twelve digits at most, which always fit.
	seconds, _ := strconv.ParseInt(timeText, 10, 64)
	switch age := now.Sub(time.Unix(seconds, 0)); {
	case age > window:
		return result("stale")
	case age < -window:
		return result("future")
	}
	var held []Key
	for _, name := range named {
		if key, ok := keys[name]; ok {
			held = append(held, key)
		}
	}
	if len(held) == 0 {
		return result("unknown_key")
	}
	text := append([]byte(idText+"."+timeText+"."), body...)
	if !signedByOne(held, text, signed) {
		return result("bad_signature")
	}
	// Only what is genuine reaches the store, so that no stranger can fill it.
	message := Message{ID: idText, Timestamp: seconds, AttemptID: attempt, Body: body}
	judged := result(string(store.Remember(message, now, now.Add(2*window), now.Add(keepIDFor))))
	if judged.Status == http.StatusOK {
		judged.Message = message
	}
	return judged
}

// signature is one part of the header: the scheme says how, and nothing yet says by which key.
type signature struct {
	scheme string
	bytes  []byte
}

func parseSignatures(header string) (parsed []signature, ok bool) {
	for _, part := range strings.Fields(header) {
		scheme, text, _ := strings.Cut(part, ",")
		// Strict: bits after the last byte are zero, so that there is one way to write a signature.
		value, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, false
		}
		parsed = append(parsed, signature{scheme, value})
	}
	return parsed, true
}

// signedByOne skips schemes that it does not know: there will be more.
func signedByOne(keys []Key, text []byte, signatures []signature) bool {
	for _, key := range keys {
		mac := hmac.New(sha256.New, key.secret)
		mac.Write(text)
		expected := mac.Sum(nil)
		for _, signature := range signatures {
			switch {
			case signature.scheme == "v1" && key.secret != nil && hmac.Equal(expected, signature.bytes):
				return true
			case signature.scheme == "v1a" && key.public != nil && ed25519.Verify(key.public, text, signature.bytes):
				return true
			}
		}
	}
	return false
}

// Key is what you hold of one key id. The public half is enough, and whoever steals it can forge nothing.
type Key struct {
	secret []byte
	public ed25519.PublicKey
}

// NewKey reads a secret ("whsec_…"), a public key ("whpk_…") or both; the other is "". Call it when your program starts.
func NewKey(secret, public string) (key Key, err error) {
	if key.secret, err = keyBytes(secret, "whsec_"); err == nil {
		key.public, err = keyBytes(public, "whpk_")
	}
	if err == nil && key.secret == nil && key.public == nil {
		err = errors.New("a webhook key needs its secret (whsec_…) or its public key (whpk_…)")
	}
	return key, err
}

// String keeps the secret out of logs.
func (Key) String() string { return "webhook key" }

func keyBytes(text, prefix string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	bytes, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(text, prefix))
	if err != nil || len(bytes) != 32 || !strings.HasPrefix(text, prefix) {
		return nil, errors.New("a webhook key is " + prefix + " and base64 of 32 bytes; copy it again from the endpoint's page")
	}
	return bytes, nil
}

// Seen is what a store knows of a message: the last four outcomes that Verify can have.
type Seen string

const (
	Fresh       Seen = "accepted"    // it is remembered now
	Duplicate   Seen = "duplicate"   // its id was there, the attempt is new and remembered now
	Replayed    Seen = "replayed"    // this very attempt was there
	Unavailable Seen = "unavailable" // nothing could be remembered
)

// Store remembers an attempt (the pair of id and timestamp) until one time and the id of its message until a later one.
// It looks and remembers in one step: of two equal requests at once, one is fresh. Over a database, write the
// message in the same transaction: a message that is lost after it was answered with 200 does not come again.
type Store interface {
	Remember(message Message, now, attemptUntil, idUntil time.Time) Seen
}

// MemoryStore is a Store for one process that may forget when it restarts. Room is how much it holds, two entries a message.
type MemoryStore struct {
	Room  int
	mutex sync.Mutex
	until map[string]time.Time
}

// Remember implements Store. A full store lets nothing in: to forget what still counts would let replays in.
func (store *MemoryStore) Remember(message Message, now, attemptUntil, idUntil time.Time) Seen {
	store.mutex.Lock()
	defer store.mutex.Unlock()
	attempt := message.ID + "." + strconv.FormatInt(message.Timestamp, 10)
	if store.holds(attempt, now) {
		return Replayed
	}
	if len(store.until)+2 > store.Room {
		for name := range store.until {
			if !store.holds(name, now) {
				delete(store.until, name)
			}
		}
	}
	if len(store.until)+2 > store.Room {
		return Unavailable
	}
	if store.until == nil {
		store.until = map[string]time.Time{}
	}
	store.until[attempt] = attemptUntil
	if store.holds(message.ID, now) {
		return Duplicate
	}
	store.until[message.ID] = idUntil
	return Fresh
}

func (store *MemoryStore) holds(name string, now time.Time) bool {
	until, ok := store.until[name]
	return ok && !until.Before(now)
}
