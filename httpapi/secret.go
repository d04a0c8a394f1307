package httpapi

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"tiercel/cluster/model"
)

// secretListener speaks TLS above our own connections, so that their patience is about
// bytes on the wire: a slow client is let be while its records make progress, and a
// deadline that passes within a record does not break the connection.
type secretListener struct {
	*listener
	s *Server
}

// Accept implements net.Listener.
func (l *secretListener) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	return &secretConn{tls.Server(c, l.s.cfg.TLS), l.s}, nil
}

// secretConn is a connection that speaks TLS.
type secretConn struct {
	*tls.Conn
	s *Server
}

// Handshake is called by the server below before it reads. Who speaks plain HTTP is told
// so in plain HTTP; anything else that is not TLS is hung up on.
func (c *secretConn) Handshake() error {
	err := c.Conn.Handshake()
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil || !beginsHTTP(header.RecordHeader) {
		return err
	}
	e := model.Errorf(model.CodeInvalidArgument, "begin TLS", "this server speaks TLS; use https://")
	if header.Conn.SetWriteDeadline(time.Now().Add(c.s.cfg.LingerTimeout)) == nil {
		_, _ = header.Conn.Write(c.s.wholeAnswer("400 Bad Request", e)) // it is hung up on in any case
	}
	if own := connOf(c); own != nil {
		own.linger.Store(true)
	}
	return err
}

// beginsHTTP recognises the first bytes of a request.
func beginsHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "PUT /", "HEAD ", "POST ", "DELET", "OPTIO", "PATCH":
		return true
	}
	return false
}
