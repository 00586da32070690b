package jwtauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// minRSABits is what RFC 7518 demands.
const minRSABits = 2048

// checkKey finds at the start what would otherwise refuse every token, or make
// signatures easy to guess.
func checkKey(method jwt.SigningMethod, key any) error {
	switch method := method.(type) {
	case *jwt.SigningMethodHMAC:
		return checkSecret(key, method.Hash.Size())
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
		return checkRSA(key)
	case *jwt.SigningMethodECDSA:
		if k, ok := key.(*ecdsa.PublicKey); !ok || k.Curve.Params().BitSize != method.CurveBits {
			return fmt.Errorf("the Key is to be an *ecdsa.PublicKey of %d bits, not %T", method.CurveBits, key)
		}
	case *jwt.SigningMethodEd25519:
		if _, ok := key.(ed25519.PublicKey); !ok {
			return fmt.Errorf("the Key is to be an ed25519.PublicKey, not %T", key)
		}
	}
	return nil
}

func checkSecret(key any, size int) error {
	secret, ok := key.([]byte)
	if !ok {
		return fmt.Errorf("the Key is to be a []byte, not %T", key)
	}
	if len(secret) < size {
		return fmt.Errorf("the Key has %d bytes, and shorter ones than the hash's %d can be guessed: take random ones", len(secret), size)
	}
	return nil
}

func checkRSA(key any) error {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the Key is to be an *rsa.PublicKey, not %T", key)
	}
	if k.N.BitLen() < minRSABits {
		return fmt.Errorf("the Key has %d bits, of the %d at least that are safe", k.N.BitLen(), minRSABits)
	}
	return nil
}
