// From the fields of a form to what a get says.

// What the text of a field asks of its column, where it is not just a value. The name of
// a field is column and operator.
const meanings = {
  departs_at: (operator, day) => ({ [operator]: operator === "lte" ? `${day}T23:59:59.999999` : day }), // a day has an end
  origin: airports,
  destination: airports,
};

// A letter or two are the beginning of a code; of several codes it may be any.
function airports(_, text) {
  const codes = text.toUpperCase().split(/[\s,]+/).filter(Boolean);
  if (codes.length !== 1) return { in: codes };
  return codes[0].length < 3 ? { prefix: codes[0] } : { eq: codes[0] };
}

// filterOf returns what the fields ask for, undefined if they are empty.
export function filterOf(form) {
  const filter = {};
  for (const [name, text] of new FormData(form)) {
    const [column, operator] = name.split(" ");
    if (!operator || !text.trim()) continue;
    const asked = meanings[column]?.(operator, text) ?? { [operator]: Number(text) };
    filter[column] = { ...filter[column], ...asked };
  }
  return Object.keys(filter).length ? filter : undefined;
}

// sortBy returns the order after a click at the head of a column: by it, or the other
// way if it was so already. With also, it joins the columns that there are.
export function sortBy(sort, column, also) {
  const turned = (was) => (was === column ? `-${column}` : column);
  if (!also) return [sort.length === 1 ? turned(sort[0]) : column];
  const at = sort.findIndex((was) => was === column || was === `-${column}`);
  return at < 0 ? [...sort, column] : sort.with(at, turned(sort[at]));
}
