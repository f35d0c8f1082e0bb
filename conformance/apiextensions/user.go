// SPDX-License-Identifier: Apache-2.0

package apiextensions

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// nowhereConfig is a kubeconfig whose server nobody answers for.
const nowhereConfig = `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
 "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
 "users": [{"name": "u", "user": {}}],
 "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
`

// user may do all.
type user struct {
	authority        string // the file of the certificate that signed the user's
	certificate, key []byte // PEM
}

// makeUser makes a certificate authority, whose file ends up in the folder, and a user of it.
func makeUser(folder string) (user, error) {
	now := time.Now()
	template := func(serial int64, subject pkix.Name) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: subject,
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		}
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return user{}, err
	}
	authority := template(1, pkix.Name{CommonName: "conformance"})
	authority.IsCA, authority.KeyUsage = true, x509.KeyUsageCertSign
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority,
		authorityKey.Public(), authorityKey)
	if err != nil {
		return user{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return user{}, err
	}
	leaf := template(2, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	if err != nil {
		return user{}, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return user{}, err
	}
	encode := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	file := filepath.Join(folder, "authority.crt")
	return user{
		authority:   file,
		certificate: encode("CERTIFICATE", leafDER),
		key:         encode("EC PRIVATE KEY", keyDER),
	}, os.WriteFile(file, encode("CERTIFICATE", authorityDER), 0o644)
}
