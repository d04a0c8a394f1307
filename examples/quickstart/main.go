package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
)

func main() {
	server := flag.String("server", "http://127.0.0.1:8880", "address of a node")
	flag.Parse()
	url := *server + "/api/v1/storage/files/models/quickstart/weights.bin"

	// Tier 1, because the path begins with /models/: durable before the answer.
	etag := put(url, bytes.Repeat([]byte("0123456789"), 1000), nil)
	fmt.Println("stored, ETag", etag)

	part := do(http.MethodGet, url, nil, map[string]string{"Range": "bytes=10-19"})
	fmt.Printf("bytes 10 to 19: %s\n", body(part))

	// If-Match makes it a compare-and-set; the second writer is refused.
	second := put(url, []byte("version two"), map[string]string{"If-Match": etag})
	fmt.Println("replaced, ETag", second)
	refused := do(http.MethodPut, url, []byte("too late"), map[string]string{"If-Match": etag})
	fmt.Printf("with the old ETag: %s %s\n", refused.Status, body(refused))
}

func put(url string, content []byte, header map[string]string) (etag string) {
	resp := do(http.MethodPut, url, content, header)
	receipt := body(resp)
	if resp.StatusCode >= 300 {
		log.Fatalf("PUT: %s %s", resp.Status, receipt)
	}
	fmt.Printf("receipt: %s\n", receipt)
	return resp.Header.Get("ETag")
}

func do(method, url string, content []byte, header map[string]string) *http.Response {
	req, err := http.NewRequest(method, url, bytes.NewReader(content))
	if err != nil {
		log.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	return resp
}

func body(resp *http.Response) []byte {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return bytes.TrimSpace(b)
}
