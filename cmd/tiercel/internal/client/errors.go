package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tiercel/cluster/model"
)

const maxErrorBytes = 64 << 10

// failure wraps the error of one attempt with what a retry needs to know.
type failure struct {
	err *model.Error
	// again: a later attempt may succeed.
	again bool
	// ambiguous: this attempt may have taken effect.
	ambiguous bool
	// unreachable: no server was there to answer.
	unreachable bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Unreachable reports whether err is that no server answered at the address:
// whatever is tried next will fail the same way.
func Unreachable(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.unreachable
}

// Message is what a person reads of err: without Go's wrapping, with the code
// and, for a fault on the server's side, the request id to ask about.
func Message(err error) string {
	var e *model.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	s := e.Message
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	// A fault on this side has no code worth showing; internal without a request is one.
	if e.Code != "" && e.Code != model.CodeInternal || e.Details["request_id"] != "" {
		s += " (" + string(e.Code)
		if id := e.Details["request_id"]; id != "" {
			s += ", request " + id
		}
		s += ")"
	}
	return s
}

// localError marks a fault on this side, in the midst of a transfer: a source
// that cannot be read, a target that cannot be written. Never retried.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// transportError explains a request that got no answer.
func (c *Client) transportError(ctx context.Context, op string, err error) error {
	var local *localError
	if errors.As(err, &local) {
		return &failure{err: model.Errorf(model.CodeInternal, op, "%w", local.err)}
	}
	if cause := context.Cause(ctx); cause != nil {
		return contextFailure(op, cause)
	}
	f := &failure{again: true, ambiguous: true}
	server := c.base.String()
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case errors.As(err, &dns):
		f.ambiguous, f.unreachable = false, true
		f.err = model.Errorf(model.CodeUnavailable, op, "the host of %s is not known; check --server", server)
	case errors.Is(err, syscall.ECONNREFUSED):
		f.ambiguous, f.unreachable = false, true
		f.err = model.Errorf(model.CodeUnavailable, op, "nothing listens at %s; is the server running, and is --server right?", server)
	case isDial(err):
		f.ambiguous, f.unreachable = false, true
		f.err = model.Errorf(model.CodeUnavailable, op, "cannot connect to %s: %w", server, rootCause(err))
	case errors.As(err, &name):
		f.again, f.ambiguous = false, false
		f.err = model.Errorf(model.CodeUnauthenticated, op, "the certificate that answers at %s is for other names: %s. Use one of them with --server, or make a certificate with this name, too ('tiercel certs node --names')",
			server, strings.Join(certificateNames(name.Certificate), ", "))
	case errors.As(err, &certificate):
		f.again, f.ambiguous = false, false
		f.err = model.Errorf(model.CodeUnauthenticated, op, "the certificate of %s is not trusted; name the authority it is of with --tls-ca: %w", server, certificate.Err)
	case strings.Contains(err.Error(), "remote error: tls: "):
		f.again, f.ambiguous = false, false
		f.err = model.Errorf(model.CodeUnauthenticated, op, "%s refuses this client's certificate, or that it shows none: %w; see --tls-cert and --tls-key", server, rootCause(err))
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		f.again, f.ambiguous = false, false
		f.err = model.Errorf(model.CodeInvalidArgument, op, "%s does not speak TLS; use http://", server)
	default:
		f.err = model.Errorf(model.CodeOutcomeUnknown, op, "the connection to %s broke: %w", server, rootCause(err))
	}
	f.again = f.again && (c.met.Load() || !f.unreachable)
	return f
}

func contextFailure(op string, cause error) error {
	switch {
	case errors.Is(cause, errStalled), errors.Is(cause, context.DeadlineExceeded):
		return &failure{again: true, ambiguous: true,
			err: model.Errorf(model.CodeDeadlineExceeded, op, "the server did not go on in time; see --timeout")}
	default:
		return &failure{ambiguous: true, err: model.Errorf(model.CodeOutcomeUnknown, op, "interrupted")}
	}
}

// certificateNames are the names and addresses that a certificate is for.
func certificateNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return []string{"none"}
	}
	return names
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// rootCause strips what net/http wraps around: `Put "http://…": write tcp …:`.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			break
		}
		err = next
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("closed by the server too early")
	}
	return err
}

// answerError decodes the error in an answer of status 300 and above.
func (c *Client) answerError(k *call, resp *http.Response) error {
	var wire struct {
		Error struct {
			Code      string         `json:"code"`
			Message   string         `json:"message"`
			RequestID string         `json:"request_id"`
			Details   map[string]any `json:"details"`
		} `json:"error"`
	}
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	e := &model.Error{Op: k.op, RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	switch {
	case k.method == http.MethodHead:
		e.Code, e.Message = codeOfStatus(resp.StatusCode), c.headMessage(resp.StatusCode)
	case readErr == nil && json.Unmarshal(body, &wire) == nil && wire.Error.Code != "":
		e.Code, e.Message = model.Code(wire.Error.Code), inVerbs.Replace(wire.Error.Message)
		for name, value := range wire.Error.Details {
			_ = e.With(name, fmt.Sprint(value))
		}
	default:
		e.Code = codeOfStatus(resp.StatusCode)
		e.Message = fmt.Sprintf("the answer was %q, not in the form of Tiercel's API; is %s a Tiercel server?", resp.Status, c.base)
	}
	if wire.Error.RequestID != "" && resp.StatusCode >= 500 {
		_ = e.With("request_id", wire.Error.RequestID)
	}
	f := &failure{err: e}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		f.again = true
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.again = !k.noMaster || e.Code != model.CodeNoMaster
		f.ambiguous = e.Code == model.CodeOutcomeUnknown || resp.StatusCode != http.StatusServiceUnavailable
	case http.StatusInternalServerError:
		f.ambiguous = e.Code != model.CodeCorrupt
	}
	return f
}

// inVerbs says by the names of the command line what the API says by its own.
var inVerbs = strings.NewReplacer(
	"/cluster/workers lists them", "'tiercel workers' lists them",
	"/cluster/jobs lists them", "'tiercel jobs' lists them",
	"leave X-Tenant-ID out", "leave --tenant (or TIERCEL_TENANT) out",
)

// codeOfStatus is for answers without a body: HEAD, and proxies.
func codeOfStatus(status int) model.Code {
	switch status {
	case http.StatusNotFound:
		return model.CodeNotFound
	case http.StatusUnauthorized:
		return model.CodeUnauthenticated
	case http.StatusForbidden:
		return model.CodePermissionDenied
	case http.StatusPreconditionFailed:
		return model.CodePreconditionFailed
	case http.StatusRequestEntityTooLarge:
		return model.CodeTooLarge
	case http.StatusRequestedRangeNotSatisfiable:
		return model.CodeRangeNotSatisfiable
	case http.StatusTooManyRequests:
		return model.CodeOverloaded
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return model.CodeUnavailable
	case http.StatusGatewayTimeout:
		return model.CodeDeadlineExceeded
	}
	if status < 500 {
		return model.CodeInvalidArgument
	}
	return model.CodeInternal
}

// headMessage is what the body of an answer to HEAD would have said, which has none.
func (c *Client) headMessage(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "there is no such file"
	case status == http.StatusUnauthorized && c.token == "":
		return "a token is needed; give one with --token, or in TIERCEL_TOKEN"
	case status == http.StatusUnauthorized:
		return "the token given (--token, or TIERCEL_TOKEN) is not one that the server knows, or it has expired"
	}
	return "the server answered " + strconv.Itoa(status) + " " + http.StatusText(status)
}

// retryAfter reads the header's seconds or HTTP date; zero: not given.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 && seconds < 86400 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
