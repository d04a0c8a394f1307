package clienttest

import (
	"io"
	"net/http"
)

// Answer is what the server says to a request for one of the cluster's documents. A
// status of 300 and above is an error with Body as its code.
type Answer struct {
	Status int // 0: 200
	Body   string

	Message string         // of an error; empty: that the test refuses it
	Details map[string]any // of an error
}

// Asked is one request for such a document.
type Asked struct {
	Line, Body, IfMatch string // Line: method, path below the base, query
}

// Say makes the server answer the requests of one line, such as "GET /cluster/jobs",
// with these in turn; the last is repeated.
func (s *Server) Say(line string, answers ...Answer) {
	s.Lock()
	defer s.Unlock()
	if s.answers == nil {
		s.answers = map[string][]Answer{}
	}
	s.answers[line] = answers
}

// said answers from what Say was told; false: nothing was.
func (s *Server) said(w http.ResponseWriter, r *http.Request, route string) bool {
	s.Lock()
	line := r.Method + " " + route
	answers := s.answers[line]
	if len(answers) == 0 {
		s.Unlock()
		return false
	}
	if len(answers) > 1 {
		s.answers[line] = answers[1:]
	}
	body, _ := io.ReadAll(r.Body)
	if r.URL.RawQuery != "" {
		line += "?" + r.URL.RawQuery
	}
	s.Asked = append(s.Asked, Asked{Line: line, Body: string(body), IfMatch: r.Header.Get("If-Match")})
	s.Unlock()
	a := answers[0]
	if a.Status >= 300 {
		if a.Message == "" {
			a.Message = "refused by the test"
		}
		fail(w, a.Status, a.Body, a.Message, a.Details)
		return true
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = io.WriteString(w, a.Body)
	return true
}
