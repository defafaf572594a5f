// SPDX-License-Identifier: BSL-1.0

// A node of golang/groupcache: what kcache has to get on with, and what its costs are compared to.
//
//	go_node -self http://127.0.0.1:9001 -peers http://...,http://... -base /_kcache/ -api 127.0.0.1:9101
//
// The front end answers /get?key=, and /loads with the number of loads so far. The value of a key
// follows from the key: its bytes and a zero byte, again and again, up to a size that its CRC-32
// says (tests/interop/go_ring.py holds the same rule).
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/golang/groupcache"
)

func sizeOf(key string) int {
	switch r := crc32.ChecksumIEEE([]byte(key)) % 100; {
	case r < 2:
		return 1 << 20
	case r < 10:
		return 10 << 10
	case r < 25:
		return 2046
	case r < 40:
		return 2045
	case r < 50:
		return 0
	case r < 60:
		return 1
	}
	return 100
}

func valueOf(key string) []byte {
	size := sizeOf(key)
	return bytes.Repeat([]byte(key+"\x00"), size/(len(key)+1)+1)[:size]
}

func main() {
	self := flag.String("self", "", "this node's URL")
	peers := flag.String("peers", "", "the URLs of all nodes")
	base := flag.String("base", "/_kcache/", "the base path")
	api := flag.String("api", "", "the address of the front end")
	flag.Parse()

	var loads int64
	load := func(_ context.Context, key string, dest groupcache.Sink) error {
		atomic.AddInt64(&loads, 1)
		return dest.SetBytes(valueOf(key))
	}
	// The pool is given the requests itself: http.ServeMux would clean their paths, and a key may
	// hold two slashes.
	pool := groupcache.NewHTTPPoolOpts(*self, &groupcache.HTTPPoolOptions{BasePath: *base})
	pool.Set(strings.Split(*peers, ",")...)
	group := groupcache.NewGroup("scores", 1<<30, groupcache.GetterFunc(load))
	forPeers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, *base) {
			http.NotFound(w, r)
			return
		}
		pool.ServeHTTP(w, r)
	})

	forReaders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loads":
			fmt.Fprintln(w, atomic.LoadInt64(&loads))
		case "/get":
			query, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			var value []byte
			sink := groupcache.AllocatingByteSliceSink(&value)
			if err := group.Get(r.Context(), query.Get("key"), sink); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(value)
		default:
			http.NotFound(w, r)
		}
	})

	at, err := url.Parse(*self)
	if err != nil {
		log.Fatal(err)
	}
	peersAt, err := net.Listen("tcp", at.Host)
	if err != nil {
		log.Fatal(err)
	}
	readersAt, err := net.Listen("tcp", *api)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(peersAt, forPeers)) }()
	fmt.Printf("node %s ready, api http://%s\n", *self, readersAt.Addr())
	log.Fatal(http.Serve(readersAt, forReaders))
}
