package binding

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Setting is a setting of Postgres that is made from a value of the subscriber's identity, for policies to read with
// current_setting.
type Setting struct {
	// Name of the setting, as in: app.user_id.
	Name string
	// Value is the name of the identity's value, without @.
	Value string
}

// role returns the role and the settings of the option, else those of the tag.
func (p *plan) role() (role string, list []Setting) {
	s, settings := p.settings[keyRole], p.settings[keySettings]
	if s.at.option != "" {
		settings = setting{texts: s.texts, at: s.at}
		p.src.places[keySettings] = s.at
	}
	if s.text != "" {
		var err error
		if role, err = parseIdent(s.text); err != nil {
			p.src.fail(keyRole, s.at, "role: %v", err)
		}
	}
	for _, text := range settings.texts {
		one, err := parseRoleSetting(text)
		if err != nil {
			p.src.fail(keySettings, settings.at, "settings: %v", err)
			continue
		}
		list = append(list, one)
	}
	return role, list
}

// parseRoleSetting reads: app.user_id @user_id.
func parseRoleSetting(text string) (Setting, error) {
	words := strings.Fields(text)
	if len(words) != 2 || !strings.HasPrefix(words[1], "@") {
		return Setting{}, fmt.Errorf("%q: want name @value, as in app.user_id @user_id", text)
	}
	return Setting{Name: words[0], Value: words[1][1:]}, nil
}

// checkRole finds what is wrong with a role and its settings.
func checkRole(r *report, src *source, role string, settings []Setting) {
	at := src.place(keyRole)
	switch {
	case role == "" && len(settings) > 0 && !src.hasFailed(keyRole):
		r.add(src.place(keySettings), "settings: missing role: policies seldom hold for the server's own")
	case role == "":
	case role == "none":
		r.add(at, `role: "none" is not a role: Postgres takes it for the server's own`)
	default:
		if err := checkIdent(role); err != nil {
			r.add(at, "role: %v", err)
		}
	}
	at = src.place(keySettings)
	for i, s := range settings {
		if err := s.check(); err != nil {
			r.add(at, "settings: %v", err)
		}
		same := func(other Setting) bool { return strings.EqualFold(other.Name, s.Name) }
		if slices.ContainsFunc(settings[:i], same) {
			r.add(at, "settings: repeated setting %q", s.Name)
		}
	}
}

// check says what is wrong with a setting.
func (s Setting) check() error {
	switch {
	case !settingName.MatchString(s.Name):
		return fmt.Errorf("%q is not a name with a dot, as in app.user_id", s.Name)
	case s.Value == "":
		return fmt.Errorf("%q: no value", s.Name)
	}
	if err := checkValueName(s.Value); err != nil {
		return fmt.Errorf("%q: %w", s.Name, err)
	}
	return nil
}

// settingName is what Postgres takes as the name of a setting that it does not know.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+$`)
