package client

import (
	"context"
	"net"
	"sync"
	"time"
)

// answerGrace is how long a connection that takes no more of a body is listened to for
// the reason.
const answerGrace = 2 * time.Second

// conn is a connection whose answer is heard before its failure to write. A server that
// refuses an upload says why and closes, without reading what is still coming; net/http
// reports whichever it meets first, and "broken pipe" tells nobody that the quota is full.
//
//	write fails ──▶ answer read, or the other side is found closed ──▶ net/http closes ──▶ the failure is told
type conn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func dialConn(ctx context.Context, network, address string) (net.Conn, error) {
	made, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: made, closed: make(chan struct{})}, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		grace := time.NewTimer(answerGrace)
		defer grace.Stop()
		select {
		case <-c.closed:
		case <-grace.C:
		}
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
