package server_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// secret is what a value in the database is known by on the wire. Each version of each row has its own, in every column.
type secret struct {
	owner  string
	team   string
	shared bool
}

// seenIn says to whom a list, a var or a function may show a secret.
var seenIn = map[string]func(s secret, w *who) bool{
	"mine":    ownSecret,
	"both":    func(s secret, w *who) bool { return ownSecret(s, w) && inTeam(s, w) },
	"general": func(s secret, w *who) bool { return ownSecret(s, w) || s.shared },
	"team":    inTeam,
	"ruled":   ownSecret,
	"joined":  ownSecret,
	"grouped": ownSecret,
	"totals":  ownSecret,
	"newest":  ownSecret,
	"peek":    ownSecret,
}

func ownSecret(s secret, w *who) bool { return s.owner == w.values["user"] }

func inTeam(s secret, w *who) bool { return contains(texted(w.values["teams"]), s.team) }

// secrets knows every secret there ever was.
type secrets struct {
	mu   sync.Mutex
	last int
	of   map[string][]secret // by its text: a key is that of all versions of its row
}

// firstNumber is where the numbers of secrets begin: nothing else on the wire has as many digits.
const firstNumber = 7_000_000_000

// secretTexts finds secrets: words, numbers and times.
var secretTexts = regexp.MustCompile(`s7\d{9}x|7\d{9}|2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d`)

// fresh returns the number of a new secret, which is not known yet.
func (s *secrets) fresh() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return firstNumber + s.last
}

// tell makes the texts of a number known, before it is written anywhere.
func (s *secrets) tell(number int, of secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range []string{wordOf(number), strconv.Itoa(number), timeOf(number)} {
		s.of[text] = append(s.of[text], of)
	}
}

// wordOf, numbers and timeOf are a secret in the types of columns.
func wordOf(number int) string { return fmt.Sprintf("s%dx", number) }

func timeOf(number int) string {
	return time.Date(2100, 1, 1, 0, 0, number-firstNumber, 0, time.UTC).Format("2006-01-02T15:04:05")
}

// values are the columns of a row but its key and its owner: body, number, at, price, tags, note.
func (s *secrets) values(number int) string {
	return fmt.Sprintf("'%s', %d, '%sZ', 0.%[2]d, '{%[1]s}', '{\"a\": \"%[1]s\"}'", wordOf(number), number, timeOf(number))
}

var revText = regexp.MustCompile(`"rev":"[0-9.]+"`)

// leaks returns what of a message nobody of these may see, in an item of the name.
func (s *secrets) leaks(data []byte, item string, may []*who, spoken map[string]bool) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range secretTexts.FindAllString(revText.ReplaceAllString(string(data), ""), -1) {
		if !spoken[text] && !s.mayBeSeen(text, item, may) {
			found = append(found, fmt.Sprintf("%s of %v", text, s.of[text]))
		}
	}
	return found
}

func (s *secrets) mayBeSeen(text, item string, may []*who) bool {
	seen := seenIn[item]
	for _, of := range s.of[text] {
		for _, w := range may {
			if seen != nil && seen(of, w) && !w.refused[item] && w.ends.IsZero() {
				return true
			}
		}
	}
	return false
}

// any draws a secret that is known, of anybody.
func (s *secrets) any(index int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return firstNumber + 1 + index%max(1, s.last)
}

// speak notes the secrets that a client says itself: it does not hear of them by an answer that repeats them.
func speak(text string, spoken map[string]bool) {
	for _, word := range secretTexts.FindAllString(text, -1) {
		spoken[word], spoken[strings.Trim(word, "sx")] = true, true
	}
}
