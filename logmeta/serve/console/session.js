// What the browser remembers: the token until its tab closes, the operator's name until it is changed.

const TOKEN = "logmeta.token";
const OPERATOR = "logmeta.operator";

export const token = () => sessionStorage.getItem(TOKEN);
export const keepToken = (given) => sessionStorage.setItem(TOKEN, given);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);
export const operator = () => localStorage.getItem(OPERATOR);
export const keepOperator = (name) => localStorage.setItem(OPERATOR, name.trim().slice(0, 80));
