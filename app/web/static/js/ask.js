// A question in the place of the buttons that it is about: it says what happens, and happens once.
import { Problem, toast } from "./api.js";

/** Ask in `place`, whose content comes back afterwards; `act` is done on a yes. */
export function ask(place, { words, label, act }) {
  const template = document.getElementById("question");
  const question = template.content.firstElementChild.cloneNode(true);
  const [no, yes] = ["[data-no]", "[data-yes]"].map((each) => question.querySelector(each));
  question.querySelector("[data-words]").textContent = words;
  yes.textContent = label;
  place.hidden = true;
  place.after(question);
  no.focus();
  const close = () => {
    question.remove();
    place.hidden = false;
    place.querySelector("button")?.focus();
  };
  no.addEventListener("click", close);
  yes.addEventListener("click", async () => {
    yes.disabled = true;
    try {
      await act();
      close();
    } catch (problem) {
      yes.disabled = false;
      toast(problem instanceof Problem ? problem.message : "The service cannot be reached.");
    }
  });
}
