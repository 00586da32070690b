package memory_test

import (
	"sync"

	"github.com/socksync/socksync/internal/window"
)

// recorder is a subscriber that notes what it is told. It is a sink of lists and,
// by vars, of vars.
type recorder struct {
	mu     sync.Mutex
	states []*window.State // of answers
	told   []string        // messages of steps
	steps  []*window.Step  // since the last take
	values []*window.Value // of vars
	gets   int             // answered
}

func (r *recorder) Step(s *window.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	for _, m := range s.Messages() {
		r.told = append(r.told, string(m))
	}
}

func (r *recorder) Answer(s *window.State, gets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	r.gets += gets
}

func (r *recorder) Resume(s *window.Step, _ int) { panic("version 1 resumes nothing") }

func (r *recorder) Fail(err error, _ int) { panic(err) }

func (r *recorder) Still(err error) { panic(err) }

// take returns the messages since the last take.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told, r.steps = nil, nil
	return told
}

// varRecorder is the same for a var.
type varRecorder struct{ recorder }

func (r *varRecorder) Set(v *window.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = append(r.values, v)
}

func (r *varRecorder) Answer(v *window.Value, gets int) {
	r.Set(v)
	r.gets += gets
}

func (r *varRecorder) takeValues() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, v := range r.values {
		out = append(out, string(v.JSON))
	}
	r.values = nil
	return out
}
